// Issuer `acme`, as the operator's API has it: directories, and orders that are not done. Keys and
// secrets of accounts are in no answer.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { Name, Names, Reason, TimeMs } from './schema.ts'
import { ServiceName } from './service.ts'

export const AcmeDirectoryView = z.object({
  name: Name,
  url: z.string(),
  challenges: z.array(z.enum(['dns-01', 'http-01'])),
  /** Absent until the directory has confirmed it. */
  accountUrl: z.optional(z.string()),
  accountCreatedAtMs: z.optional(TimeMs),
  termsOfService: z.optional(z.string()),
  /** Why nothing is tried there, and until when. */
  blocked: z.optional(z.object({ reason: Reason, untilMs: TimeMs })),
  /** Placed within the last hour. */
  ordered: z.int(),
  ordersPerHour: z.int(),
})
export type AcmeDirectoryView = Readonly<z.infer<typeof AcmeDirectoryView>>

/** `waiting`: nothing is ordered yet. `finalizing`: the request is signed, or about to be. `ended`: only records in the DNS are left to be removed. */
export const AcmeOrderView = z.object({
  /** Of the certificate request. */
  request: z.string(),
  directory: Name,
  node: Name,
  service: ServiceName,
  names: Names,
  state: z.enum(['waiting', 'ordered', 'finalizing', 'ended']),
  orderUrl: z.optional(z.string()),
  /** Failures in a row. */
  attempts: z.int(),
  nextAttemptAtMs: TimeMs,
  /** What it waits for. */
  reason: z.optional(Reason),
})
export type AcmeOrderView = Readonly<z.infer<typeof AcmeOrderView>>

/** GET acme: every directory on each page; the orders in pages, by request. */
export const AcmeView = z
  .object({ directories: z.array(AcmeDirectoryView), orders: z.array(AcmeOrderView), next: Next })
  .register(z.globalRegistry, {
    examples: [
      {
        directories: [
          {
            name: 'corp',
            url: 'https://ca.example.org/acme/directory',
            challenges: ['dns-01'],
            accountUrl: 'https://ca.example.org/acme/account/7',
            accountCreatedAtMs: 1_795_392_000_000,
            ordered: 1,
            ordersPerHour: 60,
          },
        ],
        orders: [
          {
            request: '5f0c7a52-9d3e-4f5d-8a55-0c7d1f3b2a10',
            directory: 'corp',
            node: 'kibana-1',
            service: 'kibana',
            names: { dns: ['kibana.example.org'], ip: [] },
            state: 'ordered',
            orderUrl: 'https://ca.example.org/acme/order/12',
            attempts: 1,
            nextAttemptAtMs: 1_795_392_060_000,
            reason: {
              code: 'dns-program-failed',
              message:
                '/usr/local/lib/tlsfleet/dns-update present _acme-challenge.kibana.example.org. failed (exit 2): update failed: REFUSED',
            },
          },
        ],
      },
    ],
  })
export type AcmeView = Readonly<z.infer<typeof AcmeView>>
