#!/bin/sh
export NODE_COMPILE_CACHE=/var/cache/tlsfleet
exec /usr/lib/tlsfleet/node ${TLSFLEET_NODE_FLAGS-@flags@} /usr/lib/tlsfleet/@folder@/@name@.mjs "$@"
