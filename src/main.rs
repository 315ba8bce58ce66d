//! The `sota-loop` binary; everything it does is in the library.

fn main() -> std::process::ExitCode {
    sota_loop::cli::main()
}
