// Bars of certificates by the day they end. What nobody renews is hatched, so that it differs without
// colours too.

import { count, day } from '../format.ts'
import { heightOf, type Timeline } from '../timeline.ts'

const WIDTH = 900
const HEIGHT = 150
const BASE = 124
const TOP = 12

export function TimelineChart({ timeline, nowMs }: { timeline: Timeline; nowMs: number }) {
  const { bars, most, fromMs, toMs, ticks, later } = timeline
  const x = (atMs: number) => ((atMs - fromMs) / (toMs - fromMs)) * WIDTH
  const barWidth = WIDTH / bars.length
  const y = (value: number) => ((BASE - TOP) * value) / most
  return (
    <figure class="timeline">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={inWords(timeline)}>
        <defs>
          <pattern
            id="hatch"
            width="6"
            height="6"
            patternUnits="userSpaceOnUse"
            patternTransform="rotate(45)"
          >
            <rect class="hatch-ground" width="6" height="6" />
            <rect class="hatch-line" width="2.5" height="6" />
          </pattern>
        </defs>
        <line class="axis" x1="0" x2={WIDTH} y1={BASE} y2={BASE} />
        {ticks.map(({ atMs, label }, index) => (
          <g key={label} class={index === 0 ? 'tick tick-now' : 'tick'}>
            <line x1={x(atMs)} x2={x(atMs)} y1={index === 0 ? 0 : BASE} y2={BASE + 5} />
            <text
              x={x(atMs)}
              y={BASE + 19}
              text-anchor={index === ticks.length - 1 ? 'end' : 'middle'}
            >
              {label}
            </text>
          </g>
        ))}
        {bars.map(bar => {
          const left = x(bar.fromMs) + 1.5
          const width = barWidth - 3
          const renewedTop = BASE - y(bar.renewed)
          const unrenewedTop = renewedTop - y(bar.unrenewed)
          return heightOf(bar) === 0 ? null : (
            <g key={bar.fromMs}>
              <title>
                {`${day(bar.fromMs)} to ${day(bar.toMs)}: ${count(heightOf(bar), 'certificate')}` +
                  (bar.unrenewed === 0 ? '' : `, ${bar.unrenewed} that nobody renews`)}
              </title>
              {rect('bar-renewed', left, renewedTop, width, y(bar.renewed))}
              {rect('bar-unrenewed', left, unrenewedTop, width, y(bar.unrenewed))}
              {rect('bar-ended', left, unrenewedTop - y(bar.ended), width, y(bar.ended))}
            </g>
          )
        })}
        <text class="most" x={WIDTH - 2} y={TOP - 1} text-anchor="end">
          {`highest: ${most}`}
        </text>
      </svg>
      <figcaption>
        <span class="key key-renewed">renewed in time</span>
        <span class="key key-unrenewed">not renewed if nothing changes</span>
        <span class="key key-ended">ended</span>
        <span class="muted">
          {day(nowMs)} to {day(toMs)}
          {later === 0 ? '' : `; ${count(later, 'more ends', 'more end')} later`}
        </span>
      </figcaption>
    </figure>
  )
}

function rect(name: string, x: number, y: number, width: number, height: number) {
  if (height === 0) return null
  return <rect class={name} x={x} y={y} width={width} height={Math.max(2, height)} rx="1.5" />
}

function inWords({ bars, later, toMs }: Timeline): string {
  const sum = (of: 'renewed' | 'unrenewed' | 'ended') =>
    bars.reduce((total, bar) => total + bar[of], 0)
  return `Until ${day(toMs)}: ${sum('renewed')} end and are renewed before, ${sum('unrenewed')} are not renewed, ${sum('ended')} have ended; ${later} end later`
}
