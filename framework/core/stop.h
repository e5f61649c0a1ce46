// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace triptych {

/// Orderly stops. After `install_stop_signals()` the first SIGINT, SIGTERM or SIGUSR1 is only
/// noted: long loops ask `stop_requested()`, finish their step, save and return. A second SIGINT
/// ends the process at once. Work goes on when nobody reads its output any more (SIGPIPE).
void install_stop_signals();
/// The signal that asked for a stop, or 0.
int stop_requested();
/// Throws an Error of the kind "stopped" that names `work` if a stop was asked for.
void check_not_stopped(const char* work);
/// 130 for SIGINT, 75 (queue again) for SIGTERM and SIGUSR1.
int stop_exit_code(int signal);
/// Forgets a noted signal (tests, and a second run in one process).
void clear_stop_request();

}  // namespace triptych
