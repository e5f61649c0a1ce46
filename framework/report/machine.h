// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace triptych {

/// The computer a process runs on.
struct Machine {
  std::string hostname = {};
  std::string cpu_model = {};
  int logical_cores = 0;  ///< of the whole computer
  int usable_cores = 0;   ///< that this process may use (affinity)
  std::uint64_t memory_bytes = 0;
  std::string operating_system = {};
};

Machine this_machine();

/// Time that all threads of this process spent on processors so far, in seconds.
double processor_seconds();

/// The largest resident memory of this process so far, in bytes.
std::uint64_t peak_memory_bytes();

/// The environment variables of the batch system that say where and as what a job ran.
std::map<std::string, std::string> batch_environment();

}  // namespace triptych
