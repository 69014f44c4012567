// openid-client as an OpenID Connect client: discovery, the code flow with nonce and max_age, an ID
// token with a signature, UserInfo; then a silent request. Called with the issuer, a secret and a
// redirect URI; prints URLs for the browser, reads where it came back, ends with one JSON object.
import * as client from 'openid-client'
import { createInterface } from 'node:readline'

const [issuer, secret, redirectUri] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (line) => process.stdout.write(`${line}\n`)
const hear = async () => (await lines.next()).value

const config = await client.discovery(
  new URL(issuer),
  'rs',
  { client_secret: secret },
  client.ClientSecretBasic(secret),
  { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
)

async function authorize(more = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid profile email',
    state: expectedState,
    nonce: expectedNonce,
    max_age: '3600',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...more,
  })
  say(url.href)
  const back = new URL(await hear())
  return client.authorizationCodeGrant(config, back, {
    pkceCodeVerifier,
    expectedState,
    expectedNonce,
    maxAge: 3600,
    idTokenExpected: true,
  })
}

const tokens = await authorize()
const claims = tokens.claims()
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
const silent = await authorize({ prompt: 'none', id_token_hint: tokens.id_token })
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
let refused
try {
  await authorize({ prompt: 'none', scope: 'openid now' })
} catch (error) {
  refused = error.error
}
const alg = JSON.parse(Buffer.from(tokens.id_token.split('.')[0], 'base64url')).alg
say(JSON.stringify({
  subject: claims.sub,
  alg,
  userinfo,
  same: silent.claims().auth_time === claims.auth_time,
  refreshed: refreshed.claims().sub,
  refused,
}))
process.exit(0)
