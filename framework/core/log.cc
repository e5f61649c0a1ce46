// SPDX-License-Identifier: Apache-2.0
#include "framework/core/log.h"

#include "framework/core/error.h"

#include <memory>
#include <utility>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace triptych::log {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    if (std::getenv("NO_COLOR") != nullptr) sink->set_color_mode(spdlog::color_mode::never);
    sink->set_pattern("%^%v%$");
    auto created = std::make_shared<spdlog::logger>("triptych", sink);
    created->flush_on(spdlog::level::info);
    created->set_error_handler([told = false](const std::string& reason) mutable {
      if (!std::exchange(told, true)) fmt::print(stderr, "the log is not complete: {}\n", reason);
    });
    return created;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void write(Level level, std::string_view text) { logger().log(to_spdlog(level), "{}", text); }

void set_level(Level level) { logger().set_level(to_spdlog(level)); }

void set_file(const std::filesystem::path& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string(), false);
    sink->set_pattern("[%Y-%m-%d %H:%M:%S,%e][%n][%l] - %v");
    logger().sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    throw io_error(fmt::format("{}: log file cannot be opened: {}", path.string(), error.what()));
  }
}

}  // namespace triptych::log
