/**
 * A certified OpenID provider (npm `oidc-provider`), strict about rotation: a refresh token that is used twice ends its whole grant. Everything it
 * knows is in memory. Options are one argument of JSON; see `tests/services/openid.py`.
 */
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const options = JSON.parse(process.argv[2]);

const jwk = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

const common = {
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  redirect_uris: options.redirectUris,
  post_logout_redirect_uris: options.postLogoutRedirectUris,
  ...(options.backchannelLogoutUri === null
    ? {}
    : { backchannel_logout_uri: options.backchannelLogoutUri, backchannel_logout_session_required: true }),
};

const provider = new Provider(options.issuer, {
  clients: [
    { ...common, client_id: "basic", client_secret: options.secret, token_endpoint_auth_method: "client_secret_basic" },
    { ...common, client_id: "post", client_secret: options.secret, token_endpoint_auth_method: "client_secret_post" },
    { ...common, client_id: "signed", token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [options.publicKey] } },
  ],
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt"],
  cookies: { keys: [options.secret] },
  jwks: { keys: [{ ...jwk, use: "sig", alg: "RS256", kid: "first" }] },
  scopes: ["openid", "offline_access", "email"],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  conformIdTokenClaims: options.conforms,
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: `${sub}@fund.example`, email_verified: !sub.startsWith("unverified") }) }),
  pkce: { required: () => true },
  rotateRefreshToken: () => options.rotates,
  ttl: {
    AccessToken: options.accessLifetime,
    AuthorizationCode: 60,
    Grant: options.grantLifetime,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: options.refreshLifetime,
    Session: options.grantLifetime,
  },
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    backchannelLogout: { enabled: options.backchannelLogoutUri !== null },
  },
  // Left alone it refuses to call loopback addresses, where our receiver is.
  fetch: (url, { dispatcher: _, ...rest }) => globalThis.fetch(url, rest),
});

provider.on("server_error", (_, error) => console.error(error));
provider.listen(options.port, "127.0.0.1", () => console.log(`listening at http://127.0.0.1:${options.port}`));
