//! The rate of AWS calls in virtual time: against random refusals, against token buckets, and step by step.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use regend::adapters::throttle::{Pace, Throttle, back_off};
use regend::domain::span::Time;
use regend::sim::bucket::Bucket;
use regend::sim::random::Random;

/// The documented limits of the reading calls of Elastic Load Balancing.
const PACE: Pace = Pace { rate: 10.0, burst: 40.0 };

/// How AWS answers.
#[derive(Clone, Copy)]
enum Aws {
    /// It refuses so many calls of a thousand at random.
    Refuses(u32),
    /// A bucket of this rate and burst, of which other callers take so many calls per second.
    Bucket(u32, u32, u32),
}

/// How regend calls: so many callers at once, each with this pause between its calls, in milliseconds.
#[derive(Clone, Copy)]
struct Callers(u32, u64);

/// A group that is observed each second.
const ONE_GROUP: Callers = Callers(1, 1000);
/// As many groups as AWS's bucket has room for, whose calls never end.
const FORTY_GROUPS: Callers = Callers(40, 0);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The first one in the queue may be allowed to call.
    Next,
    /// A caller has a call to make, which was refused so often.
    Wants(u32),
    /// A call arrives at AWS. It was sent at this time.
    Arrives(u32, u64),
    Answered(u32, u64, bool),
}

#[derive(Debug, PartialEq)]
struct Calls {
    accepted: u32,
    refused: u32,
    /// The refused calls of the first ten seconds, in which the rate is adapted.
    refused_at_first: u32,
}

/// Makes calls for so many seconds of virtual time.
fn play(aws: Aws, Callers(callers, pause): Callers, seconds: u64, seed: u64) -> Calls {
    let (mut random, start) = (Random::new(seed), Instant::now());
    let at = |ms| start + Duration::from_millis(ms);
    let time = |ms: u64| Time::UNIX_EPOCH + TimeDelta::milliseconds(ms as i64);
    let mut throttle = Throttle::new(PACE, start);
    let (mut bucket, neighbours) = match aws {
        Aws::Bucket(rate, burst, neighbours) => (Bucket::new(burst, rate * 1000), neighbours),
        Aws::Refuses(_) => (Bucket::new(0, 0), 0),
    };
    let mut neighbour_at = if neighbours == 0 { u64::MAX } else { 0 };
    let mut events: BinaryHeap<_> = (0..callers).map(|n| Reverse((u64::from(n), Event::Wants(0)))).collect();
    let (mut queue, mut waits) = (VecDeque::new(), false);
    let mut calls = Calls { accepted: 0, refused: 0, refused_at_first: 0 };
    while let Some(Reverse((now, event))) = events.pop().filter(|Reverse((now, _))| *now < seconds * 1000) {
        while neighbour_at <= now {
            bucket.take(time(neighbour_at));
            neighbour_at += u64::from(random.within((1, 2000 / neighbours)));
        }
        match event {
            Event::Next => waits = false,
            Event::Wants(refused) => queue.push_back(refused),
            Event::Arrives(refused, sent) => {
                let accepts = match aws {
                    Aws::Refuses(per_mille) => !random.chance(per_mille),
                    Aws::Bucket(..) => bucket.take(time(now)),
                };
                let way = u64::from(random.within((10, 60)));
                events.push(Reverse((now + way, Event::Answered(refused, sent, accepts))));
            }
            Event::Answered(_, sent, true) => {
                throttle.accepted(at(sent), at(now));
                calls.accepted += 1;
                events.push(Reverse((now + pause, Event::Wants(0))));
            }
            Event::Answered(refused, sent, false) => {
                throttle.refused(at(sent), at(now));
                calls.refused += 1;
                calls.refused_at_first += u32::from(now < 10_000);
                let wait = back_off(refused + 1, f64::from(random.within((0, 1000))) / 1000.0);
                events.push(Reverse((now + wait.as_millis() as u64, Event::Wants(refused + 1))));
            }
        }
        while let Some(refused) = queue.front().copied().filter(|_| !waits) {
            match throttle.take(at(now)) {
                Ok(()) => {
                    queue.pop_front();
                    let way = u64::from(random.within((10, 60)));
                    events.push(Reverse((now + way, Event::Arrives(refused, now))));
                }
                Err(wait) => {
                    waits = true;
                    events.push(Reverse((now + wait.as_millis() as u64 + 1, Event::Next)));
                }
            }
        }
    }
    calls
}

const SEEDS: u64 = 20;

/// The accepted calls without refusals, divided by those with refusals: on average, and at worst.
fn slowdown(per_mille: u32, callers: Callers, seconds: u64) -> (f64, f64) {
    let ratios = (0..SEEDS).map(|seed| {
        let accepted = |aws| f64::from(play(aws, callers, seconds, seed).accepted);
        accepted(Aws::Refuses(0)) / accepted(Aws::Refuses(per_mille))
    });
    ratios.fold((0.0, 0.0), |(mean, worst), ratio| (mean + ratio / SEEDS as f64, ratio.max(worst)))
}

/// Prints the table that docs/measurements.md shows.
#[test]
fn random_refusals_of_two_calls_in_five_cost_at_most_three_times_the_time() {
    let mut table = String::from("refused at random   slowdown: one group   at worst   40 groups   at worst\n");
    for percent in [10, 20, 30, 40, 50] {
        let (one, one_worst) = slowdown(percent * 10, ONE_GROUP, 60);
        let (forty, forty_worst) = slowdown(percent * 10, FORTY_GROUPS, 120);
        table += &format!("{percent:>15} %{one:>24.2}{one_worst:>11.2}{forty:>12.2}{forty_worst:>11.2}\n");
        assert!(percent > 40 || one_worst.max(forty_worst) <= 3.0, "{table}");
    }
    println!("{table}");
}

/// Prints the table that docs/measurements.md shows.
#[test]
fn the_rate_falls_to_the_rate_of_the_bucket_without_many_refusals() {
    let mut table = String::from("rate   burst   neighbours   accepted   refused   refused in the first 10 s\n");
    for (rate, burst, neighbours) in
        [(1, 5, 0), (2, 10, 0), (5, 20, 0), (10, 40, 0), (5, 20, 3), (10, 40, 5), (5, 20, 8)]
    {
        let calls: Vec<_> =
            (0..SEEDS).map(|seed| play(Aws::Bucket(rate, burst, neighbours), FORTY_GROUPS, 130, seed)).collect();
        let mean = |of: fn(&Calls) -> u32| calls.iter().map(of).map(f64::from).sum::<f64>() / SEEDS as f64;
        let (accepted, at_first) = (mean(|calls| calls.accepted) / 130.0, mean(|calls| calls.refused_at_first));
        let refused = mean(|calls| calls.refused - calls.refused_at_first) / 120.0;
        table += &format!("{rate:>4}{burst:>8}{neighbours:>13}{accepted:>11.2}{refused:>10.2}{at_first:>28.0}\n");
        // regend uses what the other callers leave, and AWS refuses fewer calls than it accepts by half.
        let left = f64::from(rate.saturating_sub(neighbours));
        assert!(accepted >= 0.95 * left && (neighbours > 0 || refused <= 0.5 * accepted), "{table}");
    }
    println!("{table}");
}

/// A throttle of four calls per second, two at once; and what it does so many seconds after its start.
struct Steps {
    throttle: Throttle,
    start: Instant,
}

impl Steps {
    fn new() -> Self {
        let start = Instant::now();
        Self { throttle: Throttle::new(Pace { rate: 4.0, burst: 2.0 }, start), start }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// How long a call has to wait, in milliseconds.
    fn take(&mut self, seconds: f64) -> u128 {
        let now = self.at(seconds);
        self.throttle.take(now).map_or_else(|wait| wait.as_millis(), |()| 0)
    }

    /// A call that was answered as soon as it was sent.
    fn accepted(&mut self, seconds: f64) {
        self.throttle.accepted(self.at(seconds), self.at(seconds));
    }

    /// The rate after a refused call, in hundredths of a call per second.
    fn refused(&mut self, seconds: f64) -> u32 {
        self.throttle.refused(self.at(seconds), self.at(seconds));
        (self.throttle.rate() * 100.0).round() as u32
    }
}

#[test]
fn calls_wait_when_the_burst_is_used_up() {
    let mut steps = Steps::new();
    assert_eq!([steps.take(0.0), steps.take(0.0), steps.take(0.0), steps.take(0.0)], [0, 0, 250, 250]);
    assert_eq!([steps.take(0.25), steps.take(0.25)], [0, 250]);
    // A long rest fills no more than the burst.
    assert_eq!([steps.take(60.0), steps.take(60.0), steps.take(60.0)], [0, 0, 250]);
    // A token that is reserved goes before the calls that wait.
    assert_eq!(steps.throttle.reserve(steps.at(60.0)).as_millis(), 250);
    assert_eq!(steps.take(60.0), 500);
    // A clock that goes back adds no tokens.
    assert_eq!([steps.take(59.0), steps.take(60.25)], [500, 250]);
}

#[test]
fn a_refusal_halves_the_rate_once_in_two_seconds_and_never_to_zero() {
    let mut steps = Steps::new();
    let rates = [0.0, 0.0, 1.9].map(|at| steps.refused(at));
    assert_eq!(rates, [200, 200, 283], "the rate rises by a fifth per second");
    assert_eq!([2.0, 4.0, 6.0, 8.0, 10.0].map(|at| steps.refused(at)), [144, 104, 75, 54, 50]);
    assert_eq!(steps.take(10.0), 2000, "the burst is gone");
    assert_eq!(steps.take(30.0), 0, "the rate has risen again");
    assert_eq!((steps.throttle.rate(), steps.take(30.0), steps.take(30.0)), (4.0, 0, 250));
}

#[test]
fn while_aws_throttles_only_the_calls_of_a_second_are_made_at_once() {
    let mut steps = Steps::new();
    steps.refused(0.0);
    steps.refused(2.0);
    assert_eq!(steps.throttle.rate(), 1.44);
    // Six seconds later the rate is still below four, so there are fewer tokens than the burst.
    let mut at_once = 0;
    while steps.take(3.0) == 0 {
        at_once += 1;
    }
    assert_eq!(at_once, 1);
}

#[test]
fn a_refusal_does_not_lower_the_rate_below_what_aws_accepted_after_another_one() {
    let mut steps = Steps::new();
    assert_eq!(steps.refused(0.0), 200);
    // Three calls accepted within a second after the refusal: two per second, because the first token was there already.
    for at in [0.2, 0.6, 1.0] {
        steps.accepted(at);
    }
    assert_eq!(steps.refused(2.0), 250, "two per second and a quarter more");
    assert_eq!(steps.refused(4.0), 250, "instead of 180");
    // Ten seconds after the calls other callers may have taken the rest of the bucket.
    assert_eq!([8.0, 10.9, 13.0].map(|at| steps.refused(at)), [250, 250, 183]);
}

#[test]
fn the_accepted_rate_counts_from_the_latest_refused_call() {
    let mut steps = Steps::new();
    steps.refused(0.0);
    for at in [0.2, 0.4] {
        steps.accepted(at);
    }
    // Sent before the refusal: AWS's bucket was not known to be empty.
    steps.refused(1.0);
    for sent in [0.7, 0.8, 0.9, 1.0] {
        steps.throttle.accepted(steps.at(sent), steps.at(1.1));
    }
    assert_eq!(steps.refused(2.0), 250, "one call in half a second, the shortest time, and a quarter more");
}
