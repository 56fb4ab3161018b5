"""The endpoint both servers share: moto behind a WSGI wrapper that counts, records, refuses and drops requests."""

import argparse
import collections
import io
import json
import logging
import os
import random
import socket
import sys
import threading
import time
import traceback
import urllib.parse
import uuid
import warnings

# moto searches all AMIs it knows for every instance it starts; the thousand built-in ones make that slow.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from moto.backends import get_backend  # noqa: E402
from moto.ec2 import utils as ec2_utils  # noqa: E402
from moto.server import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.exceptions import InternalServerError  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

# AWS's long ids begin with a zero, those of images as well as those of instances.
random_digits = ec2_utils.random_resource_id
ec2_utils.random_resource_id = lambda size=8: "0" + random_digits(16) if size == 17 else random_digits(size)

READS = ("Describe", "Get", "List", "Head", "AssumeRole")

# It warns of every error code that botocore's model does not list, such as UnsupportedOperation.
warnings.filterwarnings("ignore", category=UserWarning, module="moto")


class Refusal(Exception):
    """An AWS error answered by the wrapper, before moto sees the request."""

    def __init__(self, code, message, status=400):
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class Bucket:
    """A token bucket, as AWS throttles with."""

    def __init__(self, rate, burst, code=None):
        self.rate, self.burst, self.code = float(rate), float(burst), code
        self.tokens, self.at = self.burst, time.monotonic()

    def take(self):
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Chance:
    """Refuses this share of the calls at random, as in an account whose other callers use up the bucket. The sequence is
    always the same."""

    def __init__(self, chance, code=None):
        self.chance, self.code = float(chance), code
        self.random = random.Random(1)

    def take(self):
        return self.random.random() >= self.chance


class Endpoint:
    """One WSGI application. Requests run one at a time: moto is not thread-safe, and counts must be exact."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.RLock()
        self.calls, self.refused = collections.Counter(), collections.Counter()
        self.log = []
        self.drop, self.fail, self.throttle = collections.Counter(), {}, {}
        self.routes = {
            "/regend/calls": lambda body, query: dict(self.calls),
            "/regend/calls/reset": self.reset,
            "/regend/refused": lambda body, query: dict(self.refused),
            "/regend/log": lambda body, query: [
                {k: v for k, v in entry.items() if k != "mutating"}
                for entry in self.log
                if entry["mutating"] or "all" in query
            ],
            "/regend/set": self.set,
            "/regend/groups": self.groups,
            "/regend/tag": self.tag,
        }

    # What a subclass may add.

    def before(self):
        """Runs before each request, under the lock."""

    def after(self):
        """Runs after each request that may have changed something, under the lock."""

    def setting(self, key, value):
        """Takes one key of /regend/set that is not the endpoint's own."""
        raise ValueError(f"unknown setting {key!r}")

    def settings(self):
        return {"drop": dict(self.drop), "fail": self.fail, "throttle": sorted(self.throttle)}

    # The control side.

    def reset(self, body, query):
        self.calls.clear()
        self.refused.clear()
        self.log.clear()
        return {}

    def set(self, body, query):
        for key, value in (json.loads(body) if body else {}).items():
            if key == "drop":
                self.drop = collections.Counter(value or {})
            elif key == "fail":
                self.fail = dict(value or {})
            elif key == "throttle":
                self.throttle = {k: (Chance if "chance" in v else Bucket)(**v) for k, v in (value or {}).items()}
            else:
                self.setting(key, value)
        return self.settings()

    def groups(self, body, query):
        """Every group by name, as show.py tells it but for its targets: without a process of Python's for each look."""
        return {
            g.name: {
                "desired": g.desired_capacity,
                "min": g.min_size,
                "max": g.max_size,
                "instances": {s.instance.id: {"lifecycle": s.lifecycle_state} for s in g.instance_states},
                "tags": {t["Key"]: t["Value"] for t in g.tags},
            }
            for g in self.all_groups()
        }

    def tag(self, body, query):
        """Gives a tag that a group has another value without a call to AWS, so the log does not show it."""
        wanted = json.loads(body)
        group = next((g for g in self.all_groups() if g.name == wanted["group"]), None)
        tags = [t for t in group.tags if t["Key"] == wanted["key"]] if group else []
        if not tags:
            raise ValueError(f"no such group or tag: {wanted}")
        tags[0]["Value"] = wanted["value"]
        return {}

    @staticmethod
    def all_groups():
        backends = get_backend("autoscaling")
        return [g for a in list(backends.values()) for b in list(a.values()) for g in b.autoscaling_groups.values()]

    # The AWS side.

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if path.startswith("/regend/"):
            return self.control(path, environ, start_response)
        body = read_body(environ)
        service = service_of(environ)
        action, params = action_of(environ, body, service)
        entry = {
            "t": time.time(),
            "service": service,
            "action": action,
            "attempt": environ.get("HTTP_AMZ_SDK_REQUEST", ""),
            "params": params,
            "mutating": not action.startswith(READS) and not action.endswith((":GET", ":HEAD")),
        }
        with self.lock:
            self.calls[action] += 1
            self.log.append(entry)
            try:
                self.before()
                self.refuse(service, action)
                status, headers, answer = self.forward(environ)
            except Refusal as refusal:
                status, headers, answer = error(service, refusal)
            entry["status"] = int(status.split()[0])
            if entry["mutating"]:
                self.after()
            dropped = self.drop[action] > 0
            if dropped:
                self.drop[action] -= 1
                entry["status"] = 0
        if dropped:
            # Without this the client would wait for its read timeout on an open connection.
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        start_response(status, headers)
        return answer

    def refuse(self, service, action):
        if rule := self.fail.get(action):
            rule["times"] = rule.get("times", 1) - 1
            if rule["times"] <= 0:
                del self.fail[action]
            raise Refusal(rule["code"], rule.get("message", rule["code"]), rule.get("status", 400))
        for key in (action, service):
            if key in self.throttle and not self.throttle[key].take():
                self.refused[action] += 1
                code = self.throttle[key].code
                if service == "ec2":
                    raise Refusal(code or "RequestLimitExceeded", "Request limit exceeded.", 503)
                raise Refusal(code or "Throttling", "Rate exceeded")

    def forward(self, environ):
        seen = []

        def start_response(status, headers, exc=None):
            seen.append((status, headers))

        try:
            answer = b"".join(self.moto(environ, start_response))
        except Exception as gap:  # what moto cannot do is an HTML page with status 500, as moto_server answers it
            if not isinstance(gap, NotImplementedError):
                traceback.print_exc()
            answer = b"".join(InternalServerError()(environ, start_response))
        return *seen[-1], [answer]

    def control(self, path, environ, start_response):
        query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        try:
            with self.lock:
                self.before()
                result, status = self.routes[path](body, query), "200 OK"
        except KeyError:
            result, status = {"error": f"no {path} here; there is {sorted(self.routes)}"}, "404 Not Found"
        except (ValueError, TypeError) as mistake:
            result, status = {"error": str(mistake)}, "400 Bad Request"
        text = json.dumps(result, default=str).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]


def read_body(environ):
    """Reads what a Query or JSON protocol call carries, and leaves it there for moto. Not S3's bodies."""
    if "form-urlencoded" not in environ.get("CONTENT_TYPE", "") and "HTTP_X_AMZ_TARGET" not in environ:
        return b""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def service_of(environ):
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
    return scope[3] if len(scope) == 5 else "unsigned"


def action_of(environ, body, service):
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        try:
            return target.split(".")[-1], json.loads(body or b"{}")
        except ValueError:
            return target.split(".")[-1], {}
    form = dict(urllib.parse.parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    form = form or dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", "")))
    if action := form.pop("Action", None):
        form.pop("Version", None)
        return action, form
    # REST services (S3) have no action name on the wire.
    return f"{service}:{environ['REQUEST_METHOD']}", {"path": environ.get("PATH_INFO", "")}


def error(service, refusal):
    request = str(uuid.uuid4())
    inner = f"<Code>{refusal.code}</Code><Message>{refusal.message}</Message>"
    if service == "ec2":
        text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request}</RequestID></Response>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>{request}</RequestId></ErrorResponse>"
    body = text.encode()
    headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(body))), ("x-amzn-RequestId", request)]
    return f"{refusal.status} Refused", headers, [body]


def arguments(doc):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 = a free one")
    parser.add_argument("--stay", action="store_true", help="keep running when stdin closes (for humans)")
    parser.add_argument("--verbose", action="store_true", help="log every request to stderr")
    return parser


def serve(endpoint, options):
    """Serves until stdin closes, which it does however the parent dies: nothing is left behind by a killed test."""
    logging.getLogger("werkzeug").setLevel(logging.INFO if options.verbose else logging.ERROR)
    for service in ("autoscaling", "ec2", "elbv2", "sts"):
        get_backend(service)  # imported now, so that the first request is not the slow one
    server = make_server("127.0.0.1", options.port, endpoint, threaded=True)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)
    try:
        if options.stay:
            threading.Event().wait()
        while sys.stdin.buffer.read1(4096):
            pass
    except KeyboardInterrupt:
        pass
    os._exit(0)  # open keep-alive connections must not hold the process
