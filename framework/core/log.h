// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace triptych::log {

enum class Level { debug, info, warning, error };

/// Writes one line to stderr and, once `set_file` was called, to the run's log file
/// (`[time][triptych][LEVEL] - text`).
void write(Level level, std::string_view text);
void set_level(Level level);
void set_file(const std::filesystem::path& path);

}  // namespace triptych::log

/// TRIPTYCH_LOG(info, "step {} loss {:.4f}", step, loss): formats here, so that spdlog is seen by
/// one file only.
#define TRIPTYCH_LOG(level, ...) \
  ::triptych::log::write(::triptych::log::Level::level, ::fmt::format(__VA_ARGS__))
