// What `tlsfleet help TOPIC` prints: enough to go on where there is no web.

import { EXIT_CODES_HELP } from './exit-codes.ts'

const START = `From nothing to a fleet

  On the controller's machine, as root:
    tlsfleet init --fleet demo --host controller.example.org
    systemctl start tlsfleet-controller
  For every node, anywhere you are logged in:
    tlsfleet node add web-1 --label role=web --dns web-1.example.org
  This prints one line; paste it on the node as root. Then write fleet.yaml:
    version: 1
    fleet: demo
    services:
      - { service: prometheus, nodes: all }
  Look, apply, check:
    tlsfleet plan -f fleet.yaml
    tlsfleet apply -f fleet.yaml
    tlsfleet status
  From another machine: tlsfleet login --url https://controller.example.org:8443 --ca-pin PIN --token -`

const REASONS = `Reason and error codes

  Every message ends with a code, as in "(certificate-pending)". Codes are stable.
    tlsfleet explain CODE     what it means, and what to do
    tlsfleet explain          all codes
  The dashboard, the API and reports of agents use the same codes. docs/troubleshooting.md has them too.`

const ROLLOUTS = `Rollouts

  apply makes a rollout: nodes prepare first (stage), then are switched batch by batch. Each proves its
  services on itself and, where possible, is looked at from another node. What fails is taken back.
    tlsfleet rollout ls            which there are
    tlsfleet rollout watch ID      a live screen
    tlsfleet rollout show ID       why each node waits
    tlsfleet group show            who is out, who may be changed
    tlsfleet freeze ls             who holds changes back
  Steering: pause, resume, promote (let the batch pass, or acknowledge a downtime), retry, skip, rollback, abort, supersede; approve
  and start where the plan waits for people. force-release gives up on a node that does not answer.`

const RECOVERY = `When something is lost

  The controller is down      nothing breaks: agents keep what they have. tlsfleet certs
                              --without-controller shows what would end first. Start it again.
  Its machine is lost         tlsfleet restore --from BACKUP on another one with the same names, with the
                              CA passphrase; agents take the new epoch by themselves.
  There is no backup          a new controller, tlsfleet node add for each node, enroll each with its line.
  A node is lost              tlsfleet node rm NAME; for its replacement tlsfleet node add NAME.
  A node was broken into      tlsfleet node revoke NAME, at once.
  A CA key was stolen         tlsfleet ca taint ID, tlsfleet ca rotate.
  The CA passphrase is lost   CA keys are lost with it: a new controller, as without a backup.
  Before all that             tlsfleet backup --out FILE, every day; tlsfleet backup --check FILE.`

const ENVIRONMENT = `Files and environment

  XDG_CONFIG_HOME/tlsfleet    logins of this user (else ~/.config/tlsfleet), mode 600
  NO_COLOR, TERM=dumb         no colours; also --no-color
  /etc/tlsfleet/agent.toml    settings of an agent: never written by tlsfleet
  /var/lib/tlsfleet/agent     identity, ledger, journal of an agent
  /var/lib/tlsfleet/controller  controller.db, controller.toml
  tlsfleet-controller 8443 operators, 8444 agents, 8445 enrollment`

export const TOPICS: Readonly<Record<string, string>> = {
  'getting-started': START,
  reasons: REASONS,
  rollouts: ROLLOUTS,
  recovery: RECOVERY,
  environment: ENVIRONMENT,
  'exit-codes': EXIT_CODES_HELP,
}

export const TOPICS_HELP = `Topics: tlsfleet help ${Object.keys(TOPICS).join(' | ')}`
