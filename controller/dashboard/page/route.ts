// Where the page is, in the part of the address after `#`: links can be shared, and back works. Pure.

export type Route =
  | { readonly view: 'fleet'; readonly filter: string }
  | { readonly view: 'node'; readonly name: string }
  | { readonly view: 'certificates'; readonly filter: string }
  | { readonly view: 'rollouts' }
  | { readonly view: 'rollout'; readonly id: string; readonly filter: string }
  | { readonly view: 'rotations' }
  | { readonly view: 'rotation'; readonly id: string }
  | { readonly view: 'groups' }
  | { readonly view: 'audit'; readonly filter: string }
  | { readonly view: 'nowhere'; readonly path: string }

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const filter = new URLSearchParams(query).get('filter') ?? ''
  const [view = '', id, ...more] = path.split('/').map(decode)
  if (more.length > 0) return { view: 'nowhere', path }
  switch (view) {
    case '':
      return { view: 'fleet', filter }
    case 'nodes':
      return id === undefined ? { view: 'fleet', filter } : { view: 'node', name: id }
    case 'certificates':
      return { view, filter }
    case 'rollouts':
      return id === undefined ? { view } : { view: 'rollout', id, filter }
    case 'rotations':
      return id === undefined ? { view } : { view: 'rotation', id }
    case 'groups':
      return { view }
    case 'audit':
      return { view, filter }
    default:
      return { view: 'nowhere', path }
  }
}

export function hrefOf(route: Route): string {
  switch (route.view) {
    case 'fleet':
      return `#/${queryOf(route.filter)}`
    case 'node':
      return `#/nodes/${encodeURIComponent(route.name)}`
    case 'certificates':
    case 'audit':
      return `#/${route.view}${queryOf(route.filter)}`
    case 'rollout':
      return `#/rollouts/${encodeURIComponent(route.id)}${queryOf(route.filter)}`
    case 'rotation':
      return `#/rotations/${encodeURIComponent(route.id)}`
    case 'rollouts':
    case 'rotations':
    case 'groups':
      return `#/${route.view}`
    case 'nowhere':
      return `#/${route.path}`
    default:
      return route
  }
}

function queryOf(filter: string): string {
  return filter === '' ? '' : `?${new URLSearchParams({ filter })}`
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Typed by hand: shown as it is.
    return text
  }
}
