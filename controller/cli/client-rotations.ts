// Rotations of CAs, as functions of the client.

import * as z from 'zod/mini'
import {
  ROTATION_ROUTES,
  type RotationCreate,
  RotationList,
  RotationSummary,
  RotationView,
} from '../../shared/contract/rotations.ts'
import type { Question } from './exchange.ts'

export type RotationVerb = 'advance' | 'resume' | 'abort' | 'taint'

export function rotationCalls(call: <T>(question: Question<T>) => Promise<T>) {
  return {
    rotations: () =>
      call({
        attempt: 'list rotations',
        method: 'GET',
        path: ROTATION_ROUTES.rotations,
        answer: RotationList,
      }),

    rotation: (id: string) =>
      call({
        attempt: `show rotation ${id}`,
        method: 'GET',
        path: at(ROTATION_ROUTES.rotation, id),
        answer: RotationView,
      }),

    /** `document`: the file of a fleet spec, as problems in it name it. */
    rotate: (body: RotationCreate, document: string | undefined) =>
      call({
        attempt: 'begin a rotation',
        method: 'POST',
        path: ROTATION_ROUTES.rotations,
        body,
        answer: RotationSummary,
        ...(document === undefined ? {} : { document }),
      }),

    moveRotation: (id: string, verb: RotationVerb, reason: string | undefined) =>
      call({
        attempt: `${verb} rotation ${id}`,
        method: 'POST',
        path: at(ROTATION_ROUTES[verb], id),
        body: reason === undefined ? {} : { reason },
        answer: RotationSummary,
      }),

    taintAuthority: (id: string, reason: string | undefined) =>
      call({
        attempt: `taint CA ${id}`,
        method: 'POST',
        path: at(ROTATION_ROUTES.authorityTaint, id),
        body: reason === undefined ? {} : { reason },
        answer: z.unknown(),
      }),
  }
}

function at(pattern: string, id: string): string {
  return pattern.replace(':id', encodeURIComponent(id))
}
