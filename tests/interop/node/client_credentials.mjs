// openid-client against a running server: discovery, private_key_jwt, DPoP, and what it
// makes of "not yet". Called with the issuer and a private JWK; prints one JSON object.
import * as client from 'openid-client'
import { importJWK } from 'jose'

const [issuer, jwk] = process.argv.slice(2)
const { d, ...publicJwk } = JSON.parse(jwk)
const key = await importJWK(JSON.parse(jwk), 'ES256')
const config = await client.discovery(
  new URL(issuer),
  'c2',
  undefined,
  client.PrivateKeyJwt({ key, kid: publicJwk.kid }),
  { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
)

const plain = await client.clientCredentialsGrant(config, { scope: 'now' })
const handle = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
const bound = await client.clientCredentialsGrant(config, { scope: 'now' }, { DPoP: handle })

const deferred = async (parameters) => {
  try {
    await client.genericGrantRequest(config, ...parameters, { DPoP: handle })
  } catch (error) {
    return { error: error.error, cause: error.cause }
  }
}
const first = await deferred(['client_credentials', { scope: 'read', completion_mode: 'deferred' }])
const poll = await deferred([
  'urn:ietf:params:oauth:grant-type:deferred',
  { deferral_code: first.cause.deferral_code },
])
await client.tokenRevocation(config, plain.access_token)

console.log(JSON.stringify({
  plain: plain.token_type,
  bound: bound.token_type,
  first: first.error,
  members: Object.keys(first.cause).sort(),
  poll: poll.error,
}))
