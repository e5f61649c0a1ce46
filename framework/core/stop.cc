// SPDX-License-Identifier: Apache-2.0
#include "framework/core/stop.h"

#include "framework/core/error.h"

#include <csignal>
#include <initializer_list>

namespace triptych {
namespace {

volatile std::sig_atomic_t noted_signal = 0;

extern "C" void note_signal(int signal) {
  if (noted_signal != 0 && signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  noted_signal = signal;
}

}  // namespace

void install_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int stop_requested() { return noted_signal; }

void check_not_stopped(const char* work) {
  if (noted_signal != 0) throw Error("stopped", fmt::format("{} stopped by a signal", work));
}

int stop_exit_code(int signal) { return signal == SIGINT ? 130 : 75; }

void clear_stop_request() { noted_signal = 0; }

}  // namespace triptych
