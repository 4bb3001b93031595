// fast-jwt, without and with its cache. It gets its one key as PEM: with a key function, which a
// choice by key id needs, it is asynchronous and slower.
import { createPublicKey } from 'node:crypto'
import { createVerifier } from 'fast-jwt'
import { AUDIENCE, cases, contend, ISSUER, LEEWAY } from './contend.mjs'

function key(chosen) {
  const kid = JSON.parse(Buffer.from(chosen.good.split('.')[0], 'base64url')).kid
  const jwk = chosen.jwks.keys.find((jwk) => jwk.kid === kid)
  if (jwk.kty === 'oct') return Buffer.from(jwk.k, 'base64url')
  return createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
}

for (const cache of [false, true]) {
  for (const chosen of cases) {
    const verify = createVerifier({
      key: key(chosen),
      algorithms: [chosen.algorithm],
      allowedIss: ISSUER,
      allowedAud: AUDIENCE,
      clockTolerance: LEEWAY * 1000,
      requiredClaims: ['iss', 'aud', 'exp', 'nbf'],
      cache,
    })
    await contend('fast-jwt (Node.js)', cache ? 'known' : 'first', chosen, verify, ['unknown key'])
  }
}
