// npm's `oidc-provider`, an OpenID-certified authorization server, on loopback for the grant client credentials:
// opaque tokens by default, RFC 9068 `at+jwt` tokens when a `resource` is asked for.
//
//   node server.mjs [PORT] [TOKEN_TTL_SECONDS]
//
// Prints `ready URL` once it answers, and ends when its standard input ends. Needs Node 20. Besides the provider:
//
//   POST /__test/rotate[?keep=1]   new signing keys; keep=1 leaves the old ones published after the new
//   POST /__test/fail?n=3&status=503[&retry_after=2]   the next n token requests fail that way
//   GET  /__test/stats             request counts by path
//   GET  /__test/client-key?alg=RS256   private key (PKCS#8 PEM) of the client svc-pk
import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';
import { Provider, errors } from 'oidc-provider';

const port = Number(process.argv[2] ?? 9911);
const ttl = Number(process.argv[3] ?? 43200);
const issuer = `http://127.0.0.1:${port}`;

const resources = {
  'https://rs.example/rs256': 'RS256',
  'https://rs.example/ps256': 'PS256',
  'https://rs.example/es256': 'ES256',
  'https://rs.example/es384': 'ES384',
  'https://rs.example/es512': 'ES512',
  'https://rs.example/ed25519': 'Ed25519',
};

const signingKey = (type, options, kid, alg) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig',
});

const signingKeys = (generation) => [
  signingKey('rsa', { modulusLength: 2048 }, `rs-${generation}`, 'RS256'),
  signingKey('rsa', { modulusLength: 2048 }, `ps-${generation}`, 'PS256'),
  signingKey('ec', { namedCurve: 'P-256' }, `es-${generation}`, 'ES256'),
  signingKey('ec', { namedCurve: 'P-384' }, `es384-${generation}`, 'ES384'),
  signingKey('ec', { namedCurve: 'P-521' }, `es512-${generation}`, 'ES512'),
  signingKey('ed25519', {}, `ed-${generation}`, 'Ed25519'),
];

const clientPairs = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519'),
};
const clientKeys = Object.entries(clientPairs).map(([alg, pair]) => ({
  ...pair.publicKey.export({ format: 'jwk' }), kid: `client-${alg}`, alg, use: 'sig',
}));

const client = (client_id, token_endpoint_auth_method, rest) => ({
  client_id, token_endpoint_auth_method, scope: 'read write',
  grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...rest,
});

const provider = (keys) => new Provider(issuer, {
  jwks: { keys },
  scopes: ['read', 'write', 'admin'],
  clients: [
    // Every character that HTTP Basic must carry form-encoded (RFC 6749, section 2.3.1).
    client('svc-basic', 'client_secret_basic', { client_secret: 's3cret+/=&% :x' }),
    client('svc-post', 'client_secret_post', { client_secret: 's3cret-post' }),
    client('svc-jwt', 'client_secret_jwt', { client_secret: 'a-secret-that-is-at-least-32-bytes-long!' }),
    client('svc-pk', 'private_key_jwt', { jwks: { keys: clientKeys } }),
  ],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'],
  enabledJWA: {
    idTokenSigningAlgValues: Object.values(resources),
    clientAuthSigningAlgValues: ['HS256', ...Object.keys(clientPairs)],
  },
  ttl: { ClientCredentials: ttl },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_context, resource) => {
        const alg = resources[resource];
        if (!alg) throw new errors.InvalidTarget();
        return {
          scope: 'read write', audience: resource, accessTokenTTL: ttl,
          accessTokenFormat: 'jwt', jwt: { sign: { alg } },
        };
      },
    },
  },
});

let generation = 1;
let keys = signingKeys(generation);
let answer;
let failing = { n: 0 };
const stats = {};

// A provider reads its keys once, so new keys need a new one.
const install = () => {
  const installed = provider(keys);
  installed.on('server_error', (_context, error) => console.error('server_error', error));
  answer = installed.callback();
};

const controls = {
  'POST /__test/rotate': (query, res) => {
    generation += 1;
    const fresh = signingKeys(generation);
    keys = query.has('keep') ? [...fresh, ...keys] : fresh;
    install();
    res.end(`${generation}\n`);
  },
  'POST /__test/fail': (query, res) => {
    failing = {
      n: Number(query.get('n') ?? 1), status: Number(query.get('status') ?? 503), after: query.get('retry_after'),
    };
    res.end('ok\n');
  },
  'GET /__test/stats': (_query, res) => res.end(JSON.stringify(stats)),
  'GET /__test/client-key': (query, res) => {
    const pair = clientPairs[query.get('alg')];
    res.statusCode = pair ? 200 : 404;
    res.end(pair ? pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) : 'no such alg\n');
  },
};

const fail = (res) => {
  failing.n -= 1;
  if (failing.after) res.setHeader('Retry-After', failing.after);
  res.writeHead(failing.status, { 'content-type': 'text/html' });
  res.end('<html>upstream unavailable</html>');
};

install();
http.createServer((req, res) => {
  const url = new URL(req.url, issuer);
  stats[url.pathname] = (stats[url.pathname] ?? 0) + 1;
  const control = controls[`${req.method} ${url.pathname}`];
  if (control) control(url.searchParams, res);
  else if (url.pathname === '/token' && failing.n > 0) fail(res);
  else answer(req, res);
}).listen(port, '127.0.0.1', () => console.log(`ready ${issuer}`));

process.stdin.resume().on('end', () => process.exit(0));
