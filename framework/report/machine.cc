// SPDX-License-Identifier: Apache-2.0
#include "framework/report/machine.h"

#include <array>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace triptych {
namespace {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    return static_cast<int>(std::thread::hardware_concurrency());
  }
  return CPU_COUNT(&set);
}

}  // namespace

Machine this_machine() {
  Machine machine;
  utsname name{};
  if (::uname(&name) == 0) {
    machine.hostname = name.nodename;
    machine.operating_system = std::string(name.sysname) + ' ' + name.release + ' ' + name.machine;
  }
  machine.cpu_model = cpu_model();
  machine.logical_cores = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  machine.usable_cores = usable_cores();
  machine.memory_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return machine;
}

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

std::map<std::string, std::string> batch_environment() {
  static constexpr std::array kNames = {"SLURM_CLUSTER_NAME",
                                        "SLURM_JOB_ID",
                                        "SLURM_JOB_NAME",
                                        "SLURM_JOB_PARTITION",
                                        "SLURM_JOB_NODELIST",
                                        "SLURM_ARRAY_JOB_ID",
                                        "SLURM_ARRAY_TASK_ID",
                                        "SLURM_STEP_ID",
                                        "SLURM_NTASKS",
                                        "SLURM_PROCID",
                                        "SLURM_CPUS_PER_TASK",
                                        "SLURM_RESTART_COUNT"};
  std::map<std::string, std::string> values;
  for (const char* name : kNames) {
    if (const char* value = std::getenv(name)) values[name] = value;
  }
  return values;
}

}  // namespace triptych
