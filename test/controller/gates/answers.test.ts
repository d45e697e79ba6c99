import t from 'tap'
import { judgeQuery, judgeWebhook } from '../../../controller/gates/answers.ts'

const vector = (...values: readonly string[]) => ({
  status: 200,
  json: {
    status: 'success',
    data: {
      resultType: 'vector',
      result: values.map(value => ({ metric: {}, value: [1, value] })),
    },
  },
})

await t.test('a webhook says a verdict, or nothing', async t => {
  const say = (verdict: string) => judgeWebhook({ status: 200, json: { verdict, evidence: 'x' } })
  t.match(say('pass'), { verdict: 'pass', reason: { message: 'x' } })
  t.match(say('fail'), { verdict: 'fail' })
  t.match(say('perhaps'), { verdict: 'inconclusive' })
  t.match(judgeWebhook({ status: 500, json: { verdict: 'fail' } }), { verdict: 'inconclusive' })
  t.match(judgeWebhook({ status: 200, json: undefined }), { verdict: 'inconclusive' })
})

await t.test('every sample of a query is held against what is expected', async t => {
  const below = { is: '<', than: 0.01 } as const
  t.equal(judgeQuery(vector('0.001', '0'), below).verdict, 'pass')
  t.equal(judgeQuery(vector('0.001', '0.5'), below).verdict, 'fail')
  t.equal(judgeQuery(vector('NaN'), below).verdict, 'fail', 'not a number is not below')
  t.equal(judgeQuery(vector('+Inf'), below).verdict, 'fail')
  t.equal(judgeQuery(vector(), below).verdict, 'inconclusive', 'no sample is no answer')
  t.equal(judgeQuery(vector(), 'empty').verdict, 'pass')
  t.equal(judgeQuery(vector('1'), 'empty').verdict, 'fail')
  t.equal(judgeQuery(vector(), 'non-empty').verdict, 'fail')
  t.equal(judgeQuery({ status: 503, json: undefined }, 'empty').verdict, 'inconclusive')
})
