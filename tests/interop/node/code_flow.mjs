// openid-client and a person: discovery, the code flow with PAR, PKCE and DPoP, "not yet", refresh.
// Called with the issuer and a secret; prints a URL for the browser and reads the one that the
// browser came back to, twice; asks for a decision with a line "decide"; ends with one JSON object.
import * as client from 'openid-client'
import { createInterface } from 'node:readline'

const [issuer, secret, redirectUri] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (line) => process.stdout.write(`${line}\n`)
const hear = async () => (await lines.next()).value

const config = await client.discovery(
  new URL(issuer),
  'many',
  undefined,
  client.ClientSecretBasic(secret),
  { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
)
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
const pushed = []

async function authorize(scope, more = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const url = await client.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: redirectUri,
    scope,
    resource: 'https://ledger.example',
    state: expectedState,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    dpop_jkt: await DPoP.calculateThumbprint(),
    ...more,
  }, { DPoP })
  pushed.push([...url.searchParams.keys()].sort().join(' '))
  say(url.href)
  const back = new URL(await hear())
  return client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState }, more, { DPoP })
}

const tokens = await authorize('now')
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })

let first
try {
  await authorize('read', { completion_mode: 'deferred' })
} catch (error) {
  first = error
}
say('decide')
await hear()
const collected = await client.genericGrantRequest(
  config,
  'urn:ietf:params:oauth:grant-type:deferred',
  { deferral_code: first.cause.deferral_code },
  { DPoP },
)
const thumbprint = await DPoP.calculateThumbprint()
const bound = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).cnf?.jkt === thumbprint
say(JSON.stringify({
  type: tokens.token_type,
  rotated: tokens.refresh_token !== refreshed.refresh_token,
  fresh: tokens.access_token !== refreshed.access_token,
  bound: [tokens, refreshed, collected].map((each) => bound(each.access_token)),
  pushed,
  first: first.error,
  collected: [collected.token_type, collected.scope],
}))
process.exit(0)
