//! Child processes that never outlive us: killed on drop, and by the kernel should this process be killed itself.

use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};

use rustix::process::{Pid, Signal, kill_process};

type Order = (Command, Sender<std::io::Result<Child>>);

/// A running process of ours. Dropping kills it (SIGKILL) and waits until it is gone.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `program` with `prepare` applied to its command.
    pub fn start(program: &str, prepare: impl FnOnce(&mut Command)) -> std::io::Result<Self> {
        let mut command = if cfg!(target_os = "linux") {
            // `setpriv` belongs to util-linux, which every distribution has; it asks for the signal and then becomes
            // the program, under the same pid.
            let mut command = Command::new("setpriv");
            command.arg("--pdeathsig").arg("KILL").arg(program);
            command
        } else {
            Command::new(program)
        };
        prepare(&mut command);
        let (answer, child) = channel();
        spawner().send((command, answer)).unwrap();
        Ok(Self { child: child.recv().unwrap()? })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it still runs (also while it is paused).
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal. The pid cannot have been reused: only we wait for the process, through `&mut self`.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_alive() {
            let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
            kill_process(pid, signal).unwrap();
        }
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The parent-death signal comes when the *thread* ends that spawned (prctl(2), PR_SET_PDEATHSIG), and each test has a
/// thread of its own: one thread that lives as long as the process spawns for all.
fn spawner() -> Sender<Order> {
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let start = || {
        let (orders, received) = channel::<Order>();
        let spawn = move || {
            for (mut command, answer) in received {
                // Nobody to hear the answer: the child is dropped, and with us it ends.
                let _unheard = answer.send(command.spawn());
            }
        };
        std::thread::Builder::new().name("spawner".into()).spawn(spawn).unwrap();
        Mutex::new(orders)
    };
    SPAWNER.get_or_init(start).lock().unwrap().clone()
}
