//! The rotator for programs that have no runtime, around [`rotator::Rotator`](super::Rotator).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::flight::Limits;
use super::issue::Grant;
use super::shared::Shared;
use super::state::{self, Action};
use super::store::StoreKey;
use super::{Error, Health};
use crate::policy::IssuancePolicy;
use crate::token::Token;

/// [`rotator::Rotator`](super::Rotator) without a runtime: calls wait where they are made.
///
/// Renewals run on a thread of its own, which starts with the first one. A call whose token is fresh
/// costs what it costs there, and no hop to that thread. Clones share token, renewal and thread; once
/// the last one is dropped, the thread ends as soon as the renewal under way is over.
///
/// May be called from any thread, that of a runtime included; but there a call that has to wait keeps
/// others from running, so [`rotator::Rotator`](super::Rotator) is the better choice.
///
/// After a fork the child finds out once its token is due that the thread is not there, and starts
/// another.
///
/// ```no_run
/// use steadfast::policy::IssuancePolicy;
/// use steadfast::rotator::{ClientCredentials, blocking::Rotator};
///
/// # fn example(secret: String) -> Result<(), Box<dyn std::error::Error>> {
/// let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders-client", secret)?;
/// let rotator = Rotator::new(grant, IssuancePolicy::default());
/// rotator.run()?; // optional: rotate while idle, too
///
/// let token = rotator.token()?;
/// let header = format!("Bearer {}", token.expose());
/// # Ok(())
/// # }
/// ```
///
/// With a store, a clock or a transport of your choice:
///
/// ```no_run
/// # use steadfast::policy::IssuancePolicy;
/// # use steadfast::rotator::{self, ClientCredentials, blocking};
/// # use steadfast::rotator::store::FileStore;
/// # fn example(grant: ClientCredentials) -> Result<(), Box<dyn std::error::Error>> {
/// let store = FileStore::open("/var/lib/orders/tokens.json")?;
/// let rotator = rotator::Rotator::new(grant, IssuancePolicy::default()).store(store);
/// let rotator = blocking::Rotator::from(rotator);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Rotator {
    rotator: super::Rotator,
    driver: Arc<Driver>,
}

impl Rotator {
    /// A rotator with a store in memory of its own, the system's clock and
    /// [`HttpTransport`](crate::transport::HttpTransport).
    pub fn new(grant: impl Grant, policy: IssuancePolicy) -> Self {
        super::Rotator::new(grant, policy).into()
    }

    /// The latest token that lives, with the waits of
    /// [`rotator::Rotator::token`](super::Rotator::token).
    ///
    /// # Errors
    ///
    /// If no token lives and none could be had: then it says since when, why, and when the service
    /// is asked again. A token that is known to be expired is never returned.
    pub fn token(&self) -> Result<Arc<Token>, Error> {
        let shared = self.shared();
        let wait = match shared.state.load().decide(shared.now()) {
            // Fresh; or due, and a renewal must not be made now.
            Action::Serve(held) => return Ok(held.token().clone()),
            // Due. Without a thread nothing can be renewed behind, and the token lives all the same.
            Action::ServeAndRenew(held) => {
                let _ = self.renew();
                return Ok(held.token().clone());
            }
            Action::JoinThenServe(_, wait) | Action::Join(wait) => wait,
            // What failed with a secret that was replaced since does not count.
            Action::Fail(_) if shared.refresh_credential() => state::LONGEST_WAIT_WITHOUT_TOKEN,
            Action::Fail(failing) => return Err(failing.into()),
        };
        self.wait_for(wait, |rotator| async move {
            rotator.join(Limits::DETACHED, wait).await
        })
    }

    /// A resource refused `token` with 401: see
    /// [`rotator::Rotator::reject`](super::Rotator::reject).
    ///
    /// # Errors
    ///
    /// As [`Self::token`].
    pub fn reject(&self, token: &Token) -> Result<Arc<Token>, Error> {
        if let Some(other) = self.rotator.refuse(token) {
            let _ = self.renew();
            return Ok(other);
        }
        let wait = state::LONGEST_WAIT_WITH_TOKEN;
        self.wait_for(wait, |rotator| async move {
            rotator.join(Limits::DETACHED, wait).await
        })
    }

    /// The latest token for a process that ends right after: see
    /// [`rotator::Rotator::token_once`](super::Rotator::token_once).
    ///
    /// # Errors
    ///
    /// As [`Self::token`].
    pub fn token_once(&self, min_validity: Duration) -> Result<Arc<Token>, Error> {
        self.wait_for(
            self.rotator.stay(state::LONGEST_WAIT_WITHOUT_TOKEN),
            move |rotator| async move { rotator.token_once(min_validity).await },
        )
    }

    /// Rotates while nobody calls [`Self::token`], until [`Self::stop`] or until the last clone is
    /// dropped, whatever the service says. Once is enough, and more often does no harm.
    ///
    /// # Errors
    ///
    /// If the system gives no thread for it: then nothing was started.
    pub fn run(&self) -> Result<(), Error> {
        let rotated = self.driver.rotates.swap(true, Ordering::Relaxed);
        match self.driver.worker(&self.rotator) {
            // A new thread begins with it.
            Ok(Hired::New(_)) => Ok(()),
            Ok(Hired::Before(_)) if rotated => Ok(()),
            Ok(Hired::Before(worker)) => worker.take(Box::pin(self.rotator.clone().run())),
            Err(error) => {
                self.driver.rotates.store(false, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Ends what [`Self::run`] began. Calls of [`Self::token`] go on as before.
    pub fn stop(&self) {
        self.driver.rotates.store(false, Ordering::Relaxed);
        self.rotator.handle().stop();
    }

    /// How things stand.
    pub fn health(&self) -> Health {
        self.rotator.health()
    }

    /// The name of this client in its store.
    pub fn store_key(&self) -> StoreKey {
        self.rotator.store_key()
    }

    fn shared(&self) -> &Shared {
        &self.rotator.shared
    }

    /// Makes sure that a renewal is under way, on the thread. One that is under way needs no help.
    fn renew(&self) -> Result<(), Error> {
        if self.shared().is_renewing() {
            return Ok(());
        }
        let rotator = self.rotator.clone();
        let job = async move {
            let _ = rotator.renew(Limits::DETACHED);
        };
        self.driver.run(&self.rotator, Box::pin(job))
    }

    /// Has the thread carry `call` out, and waits for it, but hardly longer than `wait`: what the
    /// thread is held up by must not hold up the caller. Then, what lives.
    fn wait_for<F>(
        &self,
        wait: Duration,
        call: impl FnOnce(super::Rotator) -> F,
    ) -> Result<Arc<Token>, Error>
    where
        F: Future<Output = Result<Arc<Token>, Error>> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let call = call(self.rotator.clone());
        let job = async move {
            // Nobody listens any more if that took too long.
            let _ = answer.try_send(call.await);
        };
        let begun = self.driver.run(&self.rotator, Box::pin(job));
        if begun.is_ok()
            && let Ok(answer) = answered.recv_timeout(wait.saturating_add(GRACE))
        {
            return answer;
        }
        self.rotator.outcome(begun)
    }
}

impl From<super::Rotator> for Rotator {
    /// Shares token and renewals with the clones of `rotator`.
    fn from(rotator: super::Rotator) -> Self {
        Self {
            rotator,
            driver: Arc::default(),
        }
    }
}

impl fmt::Debug for Rotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rotator.fmt(f)
    }
}

/// The thread, from the first job on. No lock guards it: one that is held during a fork stays locked
/// in the child for ever.
#[derive(Default)]
struct Driver {
    worker: ArcSwapOption<Worker>,
    /// Whether [`Rotator::run`] was called last, or [`Rotator::stop`].
    rotates: AtomicBool,
}

enum Hired {
    New(Arc<Worker>),
    Before(Arc<Worker>),
}

impl Driver {
    /// Has the thread carry `job` out.
    fn run(&self, rotator: &super::Rotator, job: Job) -> Result<(), Error> {
        match self.worker(rotator)? {
            Hired::New(worker) | Hired::Before(worker) => worker.take(job),
        }
    }

    /// The thread, or a new one where there is none in this process.
    fn worker(&self, rotator: &super::Rotator) -> Result<Hired, Error> {
        let before = self.worker.load_full();
        if let Some(worker) = before.as_ref().filter(|it| it.is_there()) {
            return Ok(Hired::Before(worker.clone()));
        }
        let worker = Arc::new(Worker::start(rotator.shared.clone()).ok_or(Error::NoThread)?);
        let found = self.worker.compare_and_swap(&before, Some(worker.clone()));
        match &*found {
            // Another call was faster, and the thread that was just started ends at once.
            Some(faster) if faster.is_there() => Ok(Hired::Before(faster.clone())),
            _ => {
                if self.rotates.load(Ordering::Relaxed) {
                    worker.take(Box::pin(rotator.clone().run()))?;
                }
                Ok(Hired::New(worker))
            }
        }
    }
}

/// A thread that takes jobs until its last handle is dropped.
struct Worker {
    /// The process that it is in: a fork leaves it behind.
    process: u32,
    jobs: UnboundedSender<Job>,
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Worker {
    /// `None` if the system gives no thread, or no event loop to run on it.
    fn start(shared: Arc<Shared>) -> Option<Self> {
        let (jobs, to_do) = unbounded_channel();
        let (ready, is_ready) = sync_channel(1);
        let work = move || {
            // Built here, since dropping one on a thread of another runtime is a panic.
            let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
                return;
            };
            let _ = ready.try_send(());
            runtime.block_on(work_off(to_do, &shared));
            // Waits for nothing, such as the name of a host that is being looked up.
            runtime.shutdown_background();
        };
        let named = thread::Builder::new().name("steadfast".into());
        named.spawn(work).ok()?;
        is_ready.recv().ok()?;
        let process = std::process::id();
        Some(Self { process, jobs })
    }

    fn is_there(&self) -> bool {
        self.process == std::process::id() && !self.jobs.is_closed()
    }

    fn take(&self, job: Job) -> Result<(), Error> {
        self.jobs.send(job).map_err(|_| Error::NoThread)
    }
}

async fn work_off(mut to_do: UnboundedReceiver<Job>, shared: &Shared) {
    let mut landings = shared.landings.subscribe();
    while let Some(job) = to_do.recv().await {
        // A task of its own, where a panic is an error.
        tokio::spawn(job);
    }
    // What was asked for right before the last handle went has not begun yet: tasks get their turn.
    tokio::task::yield_now().await;
    // Nobody is left to see it, but the store is: what was asked for is worth keeping.
    while shared.is_renewing() && landings.changed().await.is_ok() {}
}

/// How much longer a caller waits than the thread should take.
const GRACE: Duration = Duration::from_millis(500);
