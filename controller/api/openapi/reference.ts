// The description as a page to read: one file without scripts and without anything from elsewhere. Every
// operation has an anchor, `#get-v1-nodes`.

import type { Json } from '../../../shared/digest.ts'
import { type JsonObject, listOf, objectOf, textOf } from './json-schema.ts'

export function referencePage(description: JsonObject): string {
  const info = objectOf(description['info'])
  const operations = Object.entries(objectOf(description['paths'])).flatMap(([path, item]) =>
    Object.entries(objectOf(item)).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      operation: objectOf(operation),
    })),
  )
  const byTag = Map.groupBy(
    operations,
    ({ operation }) => textOf(listOf(operation['tags'])[0]) ?? 'controller',
  )
  const tags = [...byTag].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const title = escape(textOf(info['title']) ?? '')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${REFERENCE_STYLE}</style>
</head>
<body>
<a class="skip" href="#operations">Skip to the operations</a>
<nav aria-label="Operations">
${tags.map(([tag, some]) => `<h2>${escape(tag)}</h2>\n<ul>${some.map(link).join('')}</ul>`).join('\n')}
</nav>
<main id="operations">
<h1>${title} <small>${escape(textOf(info['version']) ?? '')}</small></h1>
<p>${prose(textOf(info['description']) ?? '')} The same as OpenAPI 3.1: <a href="/v1/openapi.json">openapi.json</a>.</p>
${tags.flatMap(([, some]) => some.map(section)).join('\n')}
</main>
</body>
</html>
`
}

interface Operation {
  readonly path: string
  readonly method: string
  readonly operation: JsonObject
}

function anchorOf({ method, path }: Operation): string {
  return `${method} ${path}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/-$/, '')
}

function link(one: Operation): string {
  return `<li><a href="#${anchorOf(one)}"><code>${one.method}</code> ${escape(one.path)}</a></li>`
}

function section(one: Operation): string {
  const { operation, path, method } = one
  const summary = textOf(operation['summary']) ?? ''
  const description = textOf(operation['description']) ?? ''
  const body = objectOf(operation['requestBody'])
  const isOpen = operation['security'] === undefined
  return `<section id="${anchorOf(one)}" aria-labelledby="${anchorOf(one)}-title">
<h3 id="${anchorOf(one)}-title"><a href="#${anchorOf(one)}"><code class="method">${method}</code> <code>${escape(path)}</code></a></h3>
<p><strong>${prose(summary)}</strong>${isOpen ? ' <em>Needs no token.</em>' : ''}</p>
${description === `${summary}.` ? '' : `<p>${prose(description)}</p>`}
${parameters(listOf(operation['parameters']))}
${contents('Body', body['content'])}
${Object.entries(objectOf(operation['responses'])).map(answer).join('\n')}
</section>`
}

function parameters(all: readonly Json[]): string {
  if (all.length === 0) return ''
  const rows = all.map(one => {
    const { name, in: place, required, description, example } = objectOf(one)
    const must = required === true ? 'required' : ''
    return `<tr><th scope="row"><code>${escape(textOf(name) ?? '')}</code></th><td>${escape(textOf(place) ?? '')} ${must}</td><td>${prose(textOf(description) ?? '')}</td><td><code>${escape(textOf(example) ?? JSON.stringify(example))}</code></td></tr>`
  })
  return `<table><caption>Parameters</caption><thead><tr><th scope="col">Name</th><th scope="col">In</th><th scope="col">Meaning</th><th scope="col">Example</th></tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function answer([status, response]: readonly [string, Json | undefined]): string {
  const { description, content } = objectOf(response)
  if (status === 'default') return ''
  const words = `${status} ${prose(textOf(description) ?? '')}`
  // What went wrong looks alike everywhere.
  if (Number(status) >= 400) return `<p class="error">${words}</p>`
  return content === undefined ? `<p>${words}</p>` : contents(words, content)
}

function contents(title: string, content: Json | undefined): string {
  return Object.entries(objectOf(content))
    .map(([type, media]) => {
      const { schema, example } = objectOf(media)
      const text = typeof example === 'string' ? example : JSON.stringify(example, undefined, 2)
      const form = JSON.stringify(schema, undefined, 2)
      return `<h4>${title} <small>${escape(type)}</small></h4>
<pre tabindex="0" aria-label="Example">${escape(text)}</pre>
<details><summary>Schema</summary><pre tabindex="0">${escape(form)}</pre></details>`
    })
    .join('\n')
}

/** Text with words in backticks. */
function prose(text: string): string {
  return escape(text).replaceAll(/`([^`]*)`/g, '<code>$1</code>')
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

export const REFERENCE_STYLE = `
:root { color-scheme: light dark; --line: light-dark(#c8ccd2, #41464e); --soft: light-dark(#f3f4f6, #1d2126); --link: light-dark(#0b57b0, #8ab8ff); --error: light-dark(#8f1d14, #ff9c92); }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; display: grid; grid-template-columns: minmax(16rem, 22rem) minmax(0, 1fr); color: light-dark(#16191d, #e4e7eb); background: light-dark(#fff, #14171a); }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1rem; border-right: 1px solid var(--line); background: var(--soft); font-size: .875rem; }
nav h2 { font-size: 1rem; margin: 1rem 0 .25rem; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .125rem 0; overflow-wrap: anywhere; text-decoration: none; }
main { padding: 1rem 2rem; max-width: 70rem; }
section { border-top: 1px solid var(--line); padding: 1rem 0; scroll-margin-top: 1rem; }
a { color: var(--link); }
a:focus-visible, pre:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
h3 a { color: inherit; text-decoration: none; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .75rem; overflow: auto; max-height: 30rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .875rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: bold; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); padding: .25rem .75rem .25rem 0; overflow-wrap: anywhere; }
.error { color: var(--error); margin: .25rem 0; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--soft); padding: .5rem; z-index: 1; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; border: 0; } }
`
