// The part of the client that is about certificate requests.

import {
  CertificateImportAnswer,
  CertificateRequestList,
  CertificateRequestView,
  type CertificateImport,
  type ImportedCertificate,
} from '../../shared/contract/certificate-requests.ts'
import { OPERATOR_ROUTES } from '../../shared/contract/operator-api.ts'
import type { Question } from './exchange.ts'
import { everyPage } from './client-pages.ts'

const PAGE = 500

export interface RequestFilter {
  readonly state?: string
  readonly node?: string
  readonly service?: string
  readonly issuer?: string
}

export function requestCalls(call: <T>(question: Question<T>) => Promise<T>) {
  return {
    async certificateRequests(filter: RequestFilter): Promise<readonly CertificateRequestView[]> {
      const [path, attempt] = [OPERATOR_ROUTES.certificateRequests, 'list certificate requests']
      const question = { attempt, method: 'GET', path, answer: CertificateRequestList } as const
      const query = new URLSearchParams({ limit: String(PAGE), ...filter })
      return (await everyPage(call, question, query)).flatMap(({ requests }) => requests)
    },

    async importCertificates(
      certificates: CertificateImport['certificates'],
    ): Promise<readonly ImportedCertificate[]> {
      const answer = await call({
        attempt: 'import certificates',
        method: 'POST',
        path: OPERATOR_ROUTES.certificateRequestImport,
        body: { certificates },
        answer: CertificateImportAnswer,
        // A thousand of them are verified one by one.
        waitMs: IMPORT_MS,
      })
      return answer.results
    },

    refuseRequest: (id: string, reason: string) =>
      call({
        attempt: `refuse the certificate request ${id}`,
        method: 'POST',
        path: OPERATOR_ROUTES.certificateRequestRefuse.replace(':id', encodeURIComponent(id)),
        body: { reason },
        answer: CertificateRequestView,
      }),
  }
}

const IMPORT_MS = 60_000
