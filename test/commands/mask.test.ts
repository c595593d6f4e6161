import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createMask, isSecretName, maskSecrets, maskValue } from '../../commands/mask.ts'

const masked = (secrets: string[], parts: Buffer[]) => {
  const mask = createMask(secrets)
  return Buffer.concat([...parts.map((part) => mask.push(part)), mask.end()]).toString('utf8')
}

describe('a mask', () => {
  it('hides a secret however the stream is cut into parts, and changes nothing else', () => {
    const whole = Buffer.from('é before pässword-1 between pässword-1pässword-1 after é')
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length), { maxLength: 12 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), whole.length]
        const parts = at.slice(1).map((end, i) => whole.subarray(at[i], end))
        expect(masked(['pässword-1'], parts)).toBe('é before [secret] between [secret][secret] after é')
      }),
    )
  })

  it('hides the beginning of a secret that broke off', () => {
    expect(masked(['correct-horse'], [Buffer.from('token correct-ho')])).toBe('token [secret]')
  })

  it('hides the longer one of two secrets that begin alike', () => {
    expect(masked(['abcd', 'abcdefgh'], [Buffer.from('x abcdefgh y abcd z')])).toBe('x [secret] y [secret] z')
  })
})

describe('a text of a foreign system', () => {
  it.each([
    ['key AKIAIOSFODNN7EXAMPLE ok', 'key [secret] ok'],
    ['ghp_abcdefghijklmnopqrstuvwxyz012345 pushed', '[secret] pushed'],
    ['xoxb-1234567890-abcdef', '[secret]'],
    ['sk_live_abcdefghij12', '[secret]'],
    ['t eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_9 e', 't [secret] e'],
    ['postgresql://svc:p@ss:w0rd@db:5432/x', 'postgresql://svc:[secret]@db:5432/x'],
    ['redis://:pw@cache:6379', 'redis://:[secret]@cache:6379'],
    ['DB_PASSWORD=hunter2 next', 'DB_PASSWORD=[secret] next'],
    ['{"apiKey": "abc\\"d", "rows": 3}', '{"apiKey": "[secret]", "rows": 3}'],
    ['curl --token abc --retry 3', 'curl --token [secret] --retry 3'],
    ['Authorization: Bearer abcdefghijkl', 'Authorization: [secret] [secret]'],
    ['curl -H "Authorization: Token abcdefgh" x', 'curl -H "Authorization: [secret]" x'],
    ['authorization: AWS4-HMAC-SHA256 Credential=A, Signature=fe5f', 'authorization: [secret]'],
    ['Cookie: a=1; session=abc', 'Cookie: [secret]'],
    ["ALTER USER app WITH ENCRYPTED PASSWORD 'it''s' VALID", "ALTER USER app WITH ENCRYPTED PASSWORD '[secret]' VALID"],
    ["create user 'a' identified by 'b'", "create user 'a' identified by '[secret]'"],
    [
      "copy t from 's3://b' credentials 'aws_access_key_id=A;b=c' gzip",
      "copy t from 's3://b' credentials '[secret]' gzip",
    ],
    ['{"pwd" => "abc"}', '{"pwd" => "[secret]"}'],
    ['aws_access_key_id=AKIAIOSFODNN7EXAMPLE]', 'aws_access_key_id=[secret]]'],
    ['GET /a?x=1&X-Amz-Signature=abcdef&y=2', 'GET /a?x=1&X-Amz-Signature=[secret]&y=2'],
    ['https://abcdefghijklmnopqrstu@git.example/x', 'https://[secret]@git.example/x'],
    ['dapi1234567890abcdef1234567890abcdef', '[secret]'],
    ['host=db;Password=x;User=y', 'host=db;Password=[secret];User=y'],
    ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx', '[secret]\nx'],
  ])('shows %p without its secret', (text, shown) => {
    expect(maskSecrets(text)).toBe(shown)
  })

  it.each([
    'https://host:8080/path?x=1',
    'commit 0123456789012345678901234567890123456789',
    'Traceback: KeyError: name',
    'arn:aws:cloudformation:us-east-1:123456789012:stack/shop/0a1b',
    'author: Ada, compass=north, KmsKeyId=mrk-1',
  ])('shows %p as it is', (text) => {
    expect(maskSecrets(text)).toBe(text)
  })

  it('is judged by its name as well', () => {
    for (const name of [
      'ApiKey',
      'DBPassword',
      'db_pass',
      'OAuthToken',
      'ClientSecret',
      'MasterUserPassword',
      'SentryDsn',
    ])
      expect([name, isSecretName(name)]).toEqual([name, true])
    for (const name of ['BlueVersion', 'Copies', 'Author', 'KeyName', 'VpcId', 'Compass'])
      expect([name, isSecretName(name)]).toEqual([name, false])
    expect(maskValue('ApiKey', 'abc')).toBe('[secret]')
    expect(maskValue('Url', 'https://a:b@c')).toBe('https://a:[secret]@c')
  })
})
