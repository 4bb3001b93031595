// What the JavaScript contenders share: the same checks, the same batches as the Rust ones.
import { readFileSync } from 'node:fs'

export const ISSUER = 'https://login.example'
export const AUDIENCE = 'https://orders.example'
export const LEEWAY = 60

export const cases = JSON.parse(readFileSync(process.argv[2], 'utf8'))

// `verify` returns the claims of a good token, or a promise of them, and throws for any other.
export async function contend(contender, row, chosen, verify, skip = []) {
  const wrong = await check(chosen, verify, skip)
  const nanoseconds = wrong === null ? await time(verify, chosen.good) : 0
  console.log(JSON.stringify({ contender, row, algorithm: chosen.algorithm, wrong, nanoseconds }))
}

async function check({ good, jti, refused }, verify, skip) {
  for (let turn = 0; turn < 2; turn++) {
    try {
      if ((await verify(good)).jti !== jti) return 'reads other claims'
    } catch (error) {
      return `refuses the good token: ${error.message}`
    }
    for (const [reason, token] of Object.entries(refused)) {
      if (skip.includes(reason)) continue
      const accepted = await Promise.resolve().then(() => verify(token)).then(() => true, () => false)
      if (accepted) return `accepts: ${reason}`
    }
  }
  return null
}

async function time(verify, token) {
  // A synchronous verifier is timed without promises.
  const synchronous = !(verify(token) instanceof Promise)
  const batch = async (calls) => {
    const start = process.hrtime.bigint()
    if (synchronous) for (let call = 0; call < calls; call++) verify(token)
    else for (let call = 0; call < calls; call++) await verify(token)
    return Number(process.hrtime.bigint() - start)
  }
  let calls = 1
  while ((await batch(calls)) < 5e6) calls *= 2
  const batches = []
  for (let turn = 0; turn < 31; turn++) batches.push((await batch(calls)) / calls)
  return batches.sort((one, other) => one - other)[15]
}
