import t from 'tap'
import { BODY_BYTES_MAX, parseAnswer } from '../../../agent/edges/http-answer.ts'

const parse = (text: string, ended = false) => parseAnswer(Buffer.from(text), ended)

await t.test('an answer is complete when its length says so', t => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a\r\nset-cookie:  b \r\n\r\n'

  for (let length = 0; length < head.length + 5; length++)
    t.equal(parseAnswer(Buffer.from(`${head}hello`).subarray(0, length), false), undefined)
  t.same(parse(`${head}hello and more`), {
    kind: 'answer',
    answer: {
      status: 200,
      headers: { 'content-length': '5', 'set-cookie': 'a, b' },
      body: 'hello',
    },
  })
  t.end()
})

await t.test('chunks are put together, extensions and trailers left out', t => {
  const chunked =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n'

  t.equal(parse(chunked), undefined)
  t.match(parse(`${chunked}0\r\nX: y\r\n\r\n`), { answer: { body: 'hello world' } })
  t.match(parse(`${chunked}ff\r\nno`, true), { answer: { body: 'hello worldno' } }, 'cut off')
  t.end()
})

await t.test('an answer without length ends with its connection', t => {
  const answer = 'HTTP/1.0 503 Service Unavailable\r\n\r\nleader is lost'

  t.equal(parse(answer), undefined)
  t.match(parse(answer, true), { answer: { status: 503, body: 'leader is lost' } })
  t.match(parse('HTTP/1.1 204 No Content\r\n\r\n'), { answer: { status: 204, body: '' } })
  t.match(parse('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\ncontent-length: 0\r\n\r\n'), {
    answer: { status: 200, body: '' },
  })
  t.end()
})

await t.test('what is no HTTP, or too much of it, ends soon', t => {
  t.same(parse('SSH-2.0-OpenSSH_9.2\r\n'), { kind: 'other' })
  t.same(parse('\x15\x03\x03\x00\x02\x02\x50'), { kind: 'other' })
  t.same(parse('HTTP/1.1 abc\r\n\r\n'), { kind: 'other' })
  t.same(parse(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`), { kind: 'other' })
  t.same(parse('HTTP/1.1 200 OK\r\n', true), { kind: 'other' })
  t.same(parse('', true), { kind: 'nothing' })
  t.equal(parse('HT'), undefined)
  const outcome = parse(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(BODY_BYTES_MAX + 9)}`, true)
  t.equal(outcome?.kind === 'answer' && outcome.answer.body.length, BODY_BYTES_MAX)
  t.end()
})
