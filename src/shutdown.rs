//! When to stop: on Ctrl-C, or when the system asks (SIGTERM).

use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

/// Returns when somebody asks the process to stop.
pub(crate) async fn requested() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminations) => {
                terminations.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = ctrl_c() => {
            if interrupted.is_err() {
                std::future::pending::<()>().await;
            }
        }
        () = terminated => {}
    }
}
