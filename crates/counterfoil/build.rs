//! Compiles the program again when the built console changes. Never builds the console: that takes Node (`make console`).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A path that is not there counts as changed, so only what exists is named; the folder above it tells when it comes.
    for path in ["../../console/dist", "../../console"] {
        if std::path::Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
            break;
        }
    }
}
