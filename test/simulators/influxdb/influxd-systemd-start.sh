#!/bin/bash -e
# What units of upstream's packages start from 1.8.7 on (Type=forking): the server in the background, and
# then curl until it answers. As upstream's script (MIT license) but for the places, which the
# environment may move.

INFLUXD=${SIM_INFLUXD:-/usr/bin/influxd}
CONFIG=${INFLUXDB_CONFIG_PATH:-/etc/influxdb/influxdb.conf}
PIDFILE=${SIM_PIDFILE:-/var/lib/influxdb/influxd.pid}

$INFLUXD -config "$CONFIG" $INFLUXD_OPTS &
PID=$!
echo $PID > "$PIDFILE"

PROTOCOL="http"
BIND_ADDRESS=$($INFLUXD config | grep -A5 "\[http\]" | grep '^  bind-address' | cut -d ' ' -f5 | tr -d '"')
HTTPS_ENABLED_FOUND=$($INFLUXD config | grep "https-enabled = true" | cut -d ' ' -f5)
HTTPS_ENABLED=${HTTPS_ENABLED_FOUND:-"false"}
if [ $HTTPS_ENABLED = "true" ]; then
  HTTPS_CERT=$($INFLUXD config | grep "https-certificate" | cut -d ' ' -f5 | tr -d '"')
  if [ ! -f "${HTTPS_CERT}" ]; then
    echo "${HTTPS_CERT} not found! Exiting..."
    exit 1
  fi
  echo "$HTTPS_CERT found"
  PROTOCOL="https"
fi
HOST=${BIND_ADDRESS%%:*}
HOST=${HOST:-"localhost"}
PORT=${BIND_ADDRESS##*:}

set +e
attempts=0
url="$PROTOCOL://$HOST:$PORT/health"
result=$(curl -k -s -o /dev/null $url -w %{http_code})
while [ "${result:0:2}" != "20" ] && [ "${result:0:2}" != "40" ]; do
  attempts=$(($attempts+1))
  echo "InfluxDB API unavailable after $attempts attempts..."
  sleep 1
  result=$(curl -k -s -o /dev/null $url -w %{http_code})
done
echo "InfluxDB started"
set -e
