#!/usr/bin/env python3
"""moto as it is, with its calls counted: what regend must survive speaking to something that is not quite AWS."""

import common

if __name__ == "__main__":
    common.serve(common.Endpoint(), common.arguments(__doc__).parse_args())
