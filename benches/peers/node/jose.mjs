// jose with a local key set.
import { createLocalJWKSet, jwtVerify } from 'jose'
import { AUDIENCE, cases, contend, ISSUER, LEEWAY } from './contend.mjs'

for (const chosen of cases) {
  // Its key sets hold no shared secrets.
  if (chosen.algorithm === 'HS256') continue
  const keys = createLocalJWKSet(chosen.jwks)
  const options = {
    algorithms: [chosen.algorithm],
    audience: AUDIENCE,
    clockTolerance: LEEWAY,
    issuer: ISSUER,
    requiredClaims: ['exp', 'nbf'],
  }
  await contend('jose (Node.js)', 'first', chosen, async (token) => (await jwtVerify(token, keys, options)).payload)
}
