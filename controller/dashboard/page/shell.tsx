// What stands around every view: navigation, connection, who is signed in.

import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Connection } from './hub.ts'
import { useConnection } from './hooks.ts'
import { Sign, type SignName } from './parts/icons.tsx'
import { Empty } from './parts/text.tsx'
import { hrefOf, parseRoute, type Route } from './route.ts'
import { useSession } from './session.ts'
import { Audit } from './views/audit.tsx'
import { Certificates } from './views/certificates.tsx'
import { Fleet } from './views/fleet.tsx'
import { Groups } from './views/groups.tsx'
import { NodePage } from './views/node.tsx'
import { Rollout } from './views/rollout.tsx'
import { Rollouts } from './views/rollouts.tsx'
import { Rotation } from './views/rotation.tsx'
import { Rotations } from './views/rotations.tsx'

const PLACES: readonly {
  readonly route: Route
  readonly label: string
  readonly sign: SignName
  readonly views: readonly Route['view'][]
}[] = [
  {
    route: { view: 'fleet', filter: '' },
    label: 'Fleet',
    sign: 'fleet',
    views: ['fleet', 'node'],
  },
  {
    route: { view: 'rollouts' },
    label: 'Rollouts',
    sign: 'rollouts',
    views: ['rollouts', 'rollout'],
  },
  {
    route: { view: 'certificates', filter: '' },
    label: 'Certificates',
    sign: 'certificates',
    views: ['certificates'],
  },
  {
    route: { view: 'rotations' },
    label: 'CAs',
    sign: 'rotations',
    views: ['rotations', 'rotation'],
  },
  { route: { view: 'groups' }, label: 'Groups', sign: 'groups', views: ['groups'] },
  { route: { view: 'audit', filter: '' }, label: 'Audit', sign: 'audit', views: ['audit'] },
]

export function Shell() {
  const { me, signOut } = useSession()
  const [route, setRoute] = useState(parseRoute(location.hash))
  const content = useRef<HTMLElement>(null)
  // These happen with the change itself and not after it was painted: what is typed or gone to in between
  // would be lost, or come to what was there before.
  useLayoutEffect(() => {
    const onHash = () => setRoute(parseRoute(location.hash))
    window.addEventListener('hashchange', onHash)
    return () => window.removeEventListener('hashchange', onHash)
  }, [])
  const place = placeOf(route)
  const isFirst = useRef(true)
  // Who reads by ear, and who goes by keyboard, begins at the new page and not in the navigation.
  useLayoutEffect(() => {
    const heading = content.current?.querySelector('h1')
    document.title = `${heading?.textContent ?? 'tlsfleet'} · ${me.fleet} · tlsfleet`
    if (isFirst.current) isFirst.current = false
    else {
      heading?.focus({ preventScroll: true })
      window.scrollTo(0, 0)
    }
  }, [place])
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => content.current?.focus()}>
        Skip to content
      </button>
      <header class="side">
        <a class="brand" href="#/">
          <img src="/dashboard/icon.svg" alt="" width="28" height="28" />
          <span>
            <b>tlsfleet</b>
            <span class="brand-fleet">{me.fleet}</span>
          </span>
        </a>
        <nav aria-label="Views">
          {PLACES.map(({ route: target, label, sign, views }) => (
            <a
              key={label}
              href={hrefOf(target)}
              aria-current={views.includes(route.view) ? 'page' : undefined}
            >
              <Sign name={sign} />
              {label}
            </a>
          ))}
        </nav>
        <div class="side-foot">
          <Pulse />
          <p class="me">
            <span>
              <b>{me.name}</b>
              <span class="me-role">{me.role}</span>
            </span>
            <button type="button" class="button quiet" title="Sign out" onClick={signOut}>
              <Sign name="leave" />
              <span class="unseen">Sign out</span>
            </button>
          </p>
        </div>
      </header>
      <main ref={content} tabIndex={-1} key={place}>
        <View route={route} />
      </main>
    </div>
  )
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case 'fleet':
      return <Fleet filter={route.filter} />
    case 'node':
      return <NodePage name={route.name} />
    case 'certificates':
      return <Certificates filter={route.filter} />
    case 'rollouts':
      return <Rollouts />
    case 'rollout':
      return <Rollout id={route.id} />
    case 'rotations':
      return <Rotations />
    case 'rotation':
      return <Rotation id={route.id} />
    case 'groups':
      return <Groups />
    case 'audit':
      return <Audit filter={route.filter} />
    case 'nowhere':
      return (
        <>
          <h1 tabIndex={-1}>Not here</h1>
          <Empty title={`There is no page ${route.path}.`}>
            <a href="#/">To the fleet</a>
          </Empty>
        </>
      )
    default:
      return route
  }
}

/** Filters of one view are one place: typing in them moves no focus. */
function placeOf(route: Route): string {
  return 'filter' in route ? hrefOf({ ...route, filter: '' }) : hrefOf(route)
}

const PULSES = {
  connecting: { tone: 'off', text: 'Connecting', meaning: 'The first answer is on its way' },
  live: { tone: 'ok', text: 'Live', meaning: 'Changes appear as the controller hears of them' },
  polling: {
    tone: 'info',
    text: 'Refreshing',
    meaning: 'There is no stream: asked every few seconds',
  },
  lost: { tone: 'bad', text: 'No connection', meaning: 'What is shown may be old; tried again' },
} as const satisfies Record<Connection, unknown>

function Pulse() {
  const connection = useConnection()
  const { tone, text, meaning } = PULSES[connection]
  return (
    <p class={`pulse tone-${tone}`} title={meaning} role="status">
      <span class={`pulse-dot is-${connection}`} aria-hidden="true" />
      {text}
    </p>
  )
}
