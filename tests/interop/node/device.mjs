// openid-client on a device: it asks, shows an address, polls, and gets a token. Called with the
// issuer; prints the address, ends with one JSON object.
import * as client from 'openid-client'

const [issuer] = process.argv.slice(2)
const say = (line) => process.stdout.write(`${line}\n`)

const config = await client.discovery(new URL(issuer), 'tv', undefined, client.None(), {
  algorithm: 'oauth2',
  execute: [client.allowInsecureRequests],
})
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
const told = await client.initiateDeviceAuthorization(config, { scope: 'now' })
say(told.verification_uri_complete)
// At a second instead of five: what is early is told so, and the library slows down.
const tokens = await client.pollDeviceAuthorizationGrant(
  config, { ...told, interval: 1 }, undefined, { DPoP },
)
say(JSON.stringify({ type: tokens.token_type, scope: tokens.scope, interval: told.interval }))
process.exit(0)
