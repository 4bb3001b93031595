//! steadfast on aws-lc-rs: a process of its own, since the backend is a feature of the library.

fn main() {
    steadfast_contender::contend("steadfast (aws-lc-rs)");
}
