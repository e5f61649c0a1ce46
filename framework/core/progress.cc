// SPDX-License-Identifier: Apache-2.0
#include "framework/core/progress.h"

#include <cstdio>

#include <fmt/core.h>
#include <unistd.h>

namespace triptych {

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (seconds < 10.0) return fmt::format("{:.1f} s", seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

Progress::Progress(std::string what, std::int64_t total, std::int64_t done)
    : what_(std::move(what)),
      total_(total),
      first_(done),
      start_(Clock::now()),
      last_shown_(start_),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { finish(); }

void Progress::update(std::int64_t done, const std::string& detail) {
  const auto now = Clock::now();
  const double interval = terminal_ ? 0.1 : 10.0;
  const bool last = done >= total_;
  const std::chrono::duration<double> since_shown = now - last_shown_;
  if (since_shown.count() < interval && !(last && (terminal_ || line_open_))) return;
  last_shown_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double rate = elapsed > 0.0 ? static_cast<double>(done - first_) / elapsed : 0.0;
  const std::string left =
      rate > 0.0 ? duration_text(static_cast<double>(total_ - done) / rate) : std::string("?");
  const std::string line = fmt::format("{} {}/{}  {:.3g}/s  {} left{}{}",
                                       what_,
                                       done,
                                       total_,
                                       rate,
                                       left,
                                       detail.empty() ? "" : "  ",
                                       detail);
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
    line_open_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void Progress::finish() {
  if (line_open_) std::fprintf(stderr, "\n");
  line_open_ = false;
}

}  // namespace triptych
