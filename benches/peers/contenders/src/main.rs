//! The Rust peers: the second argument names the one to run, since what some of them install holds
//! for a whole process.

mod huskarl;
mod jsonwebtoken;
mod jwt_authorizer;
mod jwt_simple;

use std::env;

use common::cases;

fn main() {
    let cases = cases();
    match env::args().nth(2).as_deref() {
        Some("jsonwebtoken-9") => jsonwebtoken::version_9(&cases),
        Some("jsonwebtoken-11-aws-lc-rs") => jsonwebtoken::version_11_on_aws_lc_rs(&cases),
        Some("jsonwebtoken-11-rust-crypto") => jsonwebtoken::version_11_on_rust_crypto(&cases),
        Some("jwt-simple") => jwt_simple::contend(&cases),
        Some("jwt-authorizer") => jwt_authorizer::contend(&cases),
        Some("huskarl") => huskarl::contend(&cases),
        _ => panic!("no such contender"),
    }
}
