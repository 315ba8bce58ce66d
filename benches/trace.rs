fn main() {
    for path in std::env::args().skip(1).filter(|a| !a.starts_with("--")) {
        let t = std::time::Instant::now();
        let trace = sota_loop::trace::read(
            std::path::Path::new(&path),
            &&sota_loop::trace::ReadOptions::default(),
        )
        .expect("a readable trace");
        println!(
            "{path} {:?} {:?} {:?} strings {}",
            t.elapsed(),
            trace.counts,
            trace.warnings,
            trace.strings.len()
        );
    }
}
