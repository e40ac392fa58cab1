// A provider to develop with (npm `oidc-provider`): everybody is who they say, and it forgets everything when it stops. Not for earnest.
// What it is to be comes as a line of JSON; when its input ends, because whoever started it is gone, it goes, too.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const MINUTES = 60;

function serve({ port, issuer, clientId, clientSecret, redirectUri, postLogoutRedirectUri }) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [postLogoutRedirectUri],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', kid: 'development', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    scopes: ['openid', 'offline_access'],
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    // A refresh token that nobody uses for half an hour is over, as at providers with an inactivity lifetime.
    ttl: { AccessToken: 20 * MINUTES, IdToken: 60 * MINUTES, RefreshToken: 30 * MINUTES, Grant: 12 * 60 * MINUTES, Session: 12 * 60 * MINUTES },
    features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
  });
  provider.listen(port, '127.0.0.1', () => console.log(`listening at ${issuer}`));
}

createInterface({ input: process.stdin })
  .once('line', (line) => serve(JSON.parse(line)))
  .once('close', () => process.exit());
