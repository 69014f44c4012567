"""Every name that travels, once, spelled as the specifications spell it.

Sources: RFC 6749, 7009, 7519, 7521, 7523, 8414, 8628, 8707, 9068, 9396, 9449;
draft-ietf-oauth-deferred-token-response (names: `docs/requirements/dtr.md`).
"""

from typing import Final

# --- grant types
GRANT_CLIENT_CREDENTIALS: Final = "client_credentials"
GRANT_DEFERRED: Final = "urn:ietf:params:oauth:grant-type:deferred"

# --- request parameters
GRANT_TYPE: Final = "grant_type"
CLIENT_ID: Final = "client_id"
CLIENT_SECRET: Final = "client_secret"
CLIENT_ASSERTION: Final = "client_assertion"
CLIENT_ASSERTION_TYPE: Final = "client_assertion_type"
SCOPE: Final = "scope"
RESOURCE: Final = "resource"
AUDIENCE: Final = "audience"
AUTHORIZATION_DETAILS: Final = "authorization_details"
COMPLETION_MODE: Final = "completion_mode"
CLIENT_NOTIFICATION_TOKEN: Final = "client_notification_token"
DEFERRAL_CODE: Final = "deferral_code"
TOKEN: Final = "token"
TOKEN_TYPE_HINT: Final = "token_type_hint"

# --- values
COMPLETION_DEFERRED: Final = "deferred"
ASSERTION_JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_TYPE_DEFERRAL_CODE: Final = "urn:ietf:params:oauth:token-type:deferral-code"
TOKEN_TYPE_ACCESS_TOKEN: Final = "access_token"
BEARER: Final = "Bearer"
DPOP: Final = "DPoP"

# --- client authentication methods
CLIENT_SECRET_BASIC: Final = "client_secret_basic"
CLIENT_SECRET_POST: Final = "client_secret_post"
PRIVATE_KEY_JWT: Final = "private_key_jwt"

# --- response members
ACCESS_TOKEN: Final = "access_token"
TOKEN_TYPE: Final = "token_type"
EXPIRES_IN: Final = "expires_in"
INTERVAL: Final = "interval"
ERROR: Final = "error"
ERROR_DESCRIPTION: Final = "error_description"
DEFERRAL_OUTCOME: Final = "deferral_outcome"
DEFERRAL_REMARK: Final = "deferral_remark"

# --- errors
INVALID_REQUEST: Final = "invalid_request"
INVALID_CLIENT: Final = "invalid_client"
INVALID_GRANT: Final = "invalid_grant"
UNAUTHORIZED_CLIENT: Final = "unauthorized_client"
UNSUPPORTED_GRANT_TYPE: Final = "unsupported_grant_type"
INVALID_SCOPE: Final = "invalid_scope"
INVALID_TARGET: Final = "invalid_target"
INVALID_AUTHORIZATION_DETAILS: Final = "invalid_authorization_details"
INVALID_DPOP_PROOF: Final = "invalid_dpop_proof"
USE_DPOP_NONCE: Final = "use_dpop_nonce"
SERVER_ERROR: Final = "server_error"
TEMPORARILY_UNAVAILABLE: Final = "temporarily_unavailable"
AUTHORIZATION_PENDING: Final = "authorization_pending"
INTERACTION_REQUIRED: Final = "interaction_required"
INTERACTION_PENDING: Final = "interaction_pending"
SLOW_DOWN: Final = "slow_down"
EXPIRED_TOKEN: Final = "expired_token"
ACCESS_DENIED: Final = "access_denied"

# --- JWT kinds (`typ`)
TYP_ACCESS_TOKEN: Final = "at+jwt"
TYP_DPOP: Final = "dpop+jwt"
TYP_CLIENT_ASSERTION: Final = "client-authentication+jwt"

# --- header fields
HEADER_DPOP: Final = "DPoP"
HEADER_DPOP_NONCE: Final = "DPoP-Nonce"
HEADER_RETRY_AFTER: Final = "Retry-After"
