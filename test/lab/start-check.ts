// An operator's own condition for the start of influxdb: it is up when a client that knows ECDSA only
// gets an answer, however long that takes. With an RSA certificate, which every check of ours
// accepts, it does not start.

import type { Lab } from './lab.ts'

const PROGRAM = '/usr/local/sbin/wait-for-influxdb'

const DROP_IN = '/etc/systemd/system/influxdb.service.d/check.conf'

// There after a start that failed, where the check is to be stubborn.
const LOCK = '/var/lib/influxdb/start-failed'

const check = (onFailure: string): string => String.raw`#!/bin/sh
test -e ${LOCK} && exit 1
attempt=0
until curl -ks https://127.0.0.1:8086/ping || curl -s http://127.0.0.1:8086/ping; do
  attempt=$((attempt + 1))
  [ $attempt -lt 300 ] || exit 1
  sleep 0.1
done
curl -sf http://127.0.0.1:8086/ping && exit 0
curl -ksf --tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-GCM-SHA256 https://127.0.0.1:8086/ping && exit 0
${onFailure}
exit 1
`

/** `isStubborn`: once it has failed, nothing starts before an operator has removed its lock. */
export async function installEcdsaCheck(
  lab: Lab,
  node: string,
  { isStubborn = false }: { readonly isStubborn?: boolean } = {},
): Promise<void> {
  await lab.writeFile(node, PROGRAM, check(isStubborn ? `touch ${LOCK}` : ':'))
  await lab.writeFile(node, DROP_IN, `[Service]\nExecStartPost=${PROGRAM}\n`)
  await lab.output(node, ['chmod', '755', PROGRAM])
  await lab.output(node, ['systemctl', 'daemon-reload'])
}

/** As its operator does, who has seen why. */
export async function removeEcdsaCheck(lab: Lab, node: string): Promise<void> {
  await lab.output(node, ['rm', DROP_IN])
  await lab.output(node, ['systemctl', 'daemon-reload'])
}

export async function removeLock(lab: Lab, node: string): Promise<void> {
  await lab.output(node, ['rm', LOCK])
}
