//! What a client asks the token endpoint for: each grant is a request. What comes back is read in
//! [`answer`](super::answer).

mod assertion;
mod client_credentials;
mod jwt_bearer;
mod refresh_token;
mod saml_bearer;
mod token_exchange;

pub use assertion::{Asserting, AssertionError, AssertionFile, AssertionSource};
pub use client_credentials::ClientCredentials;
pub use jwt_bearer::JwtBearer;
pub use refresh_token::RefreshTokenGrant;
pub use saml_bearer::SamlBearer;
pub use token_exchange::{TokenExchange, TokenType};
