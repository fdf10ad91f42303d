//! A real server of this build on a free port, and the command line beside it.

#![allow(dead_code)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub const ADMIN: &str = "ann@acme.example";
pub const PASSWORD: &str = "correct horse battery staple";

/// The program under test.
pub fn counterfoil() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    for (name, _) in std::env::vars() {
        if name.starts_with("COUNTERFOIL_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end with `input` on standard input.
pub fn run_with(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    stdin.write_all(input.as_bytes()).expect("it reads its input");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// Standard output of a run that must succeed.
pub fn stdout_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{:?}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

/// A temporary folder with a trail made in it by `init`.
pub struct Trail {
    pub folder: tempfile::TempDir,
    pub made: Value,
}

impl Trail {
    pub fn new() -> Trail {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = counterfoil();
        command.args(["init", "--org", "Acme", "--admin", ADMIN, "--password-stdin", "--json", "--data"]);
        command.arg(folder.path().join("data"));
        let made = stdout_of(&run_with(command, PASSWORD));
        Trail { made: serde_json::from_str(&made).expect("init prints JSON"), folder }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn org(&self) -> &str {
        self.made["organisation"]["id"].as_str().expect("an organisation id")
    }

    pub fn vkey(&self) -> &str {
        self.made["vkey"].as_str().expect("a public key")
    }

    pub fn log_id(&self) -> &str {
        let origin = self.made["origin"].as_str().expect("an origin");
        origin.rsplit('/').next().expect("an origin ends in its log id")
    }

    pub fn serve(&self) -> Server {
        Server::start(&self.data(), &["--listen", "127.0.0.1:0"])
    }
}

/// A running `counterfoil serve`; killed when dropped.
pub struct Server {
    pub child: Child,
    pub urls: Vec<String>,
}

impl Server {
    /// Starts it and waits until it has said `ready` for each listener.
    pub fn start(data: &Path, arguments: &[&str]) -> Server {
        let mut command = counterfoil();
        command.arg("serve").arg("--data").arg(data).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it was piped"));
        let wanted = arguments.iter().filter(|a| a.ends_with("listen")).count();
        let mut urls = Vec::new();
        let mut line = String::new();
        while urls.len() < wanted {
            line.clear();
            if lines.read_line(&mut line).expect("readable output") == 0 {
                let mut said = String::new();
                let _ = child.stderr.take().expect("it was piped").read_to_string(&mut said);
                panic!("the server ended before it was ready:\n{said}");
            }
            if let Some(url) = line.trim_end().strip_prefix("ready ") {
                urls.push(url.to_owned());
            }
        }
        // Nobody reads what it says from now on: drain it, so that it never blocks.
        let stderr = child.stderr.take().expect("it was piped");
        std::thread::spawn(move || {
            let mut sink = Vec::new();
            let _ = BufReader::new(stderr).read_to_end(&mut sink);
        });
        Server { child, urls }
    }

    pub fn url(&self) -> &str {
        &self.urls[0]
    }

    /// SIGKILL: no chance to clean up.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and waits for the end; true if it ended well.
    pub fn stop(mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it can be signalled");
        self.child.wait().expect("it ends").success()
    }

    /// A native token for the administrator.
    pub fn token(&self) -> String {
        let mut command = counterfoil();
        command.args(["login", ADMIN, "--password-stdin", "--server", self.url()]);
        stdout_of(&run_with(command, PASSWORD)).trim().to_owned()
    }

    /// The command line with server and token set.
    pub fn command(&self, token: &str) -> Command {
        let mut command = counterfoil();
        command.env("COUNTERFOIL_SERVER", self.url()).env("COUNTERFOIL_TOKEN", token);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the real logs lie, beside the checkout.
pub fn shared_data() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    assert!(path.is_dir(), "the real logs are expected in {}", path.display());
    path
}

/// `curl -s` with these arguments: status and body.
pub fn curl(arguments: &[&str]) -> (u16, String) {
    let output = Command::new("curl")
        .args(["-s", "--max-time", "60", "-w", "\n%{http_code}"])
        .args(arguments)
        .output()
        .expect("curl is installed by scripts/install-test-tools.sh");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (body, status) = text.rsplit_once('\n').expect("curl wrote the status");
    (status.parse().expect("a status"), body.to_owned())
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
