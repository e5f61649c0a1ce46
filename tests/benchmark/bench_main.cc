// SPDX-License-Identifier: Apache-2.0
#include "framework/core/parallel.h"
#include "framework/core/torch_compat.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

int main(int argc, char** argv) {
  const char* asked = std::getenv("TRIPTYCH_BENCH_THREADS");
  const int threads = asked != nullptr ? std::atoi(asked) : 2;
  triptych::set_num_threads(threads);
  triptych::set_torch_threads(threads);
  // Defaults come first, so that flags of the command line win.
  std::vector<std::string> words = {argv[0],
                                    "--benchmark_repetitions=5",
                                    "--benchmark_enable_random_interleaving=true",
                                    "--benchmark_report_aggregates_only=true",
                                    "--benchmark_min_time=0.5"};
  words.insert(words.end(), argv + 1, argv + argc);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  benchmark::AddCustomContext("libtorch", triptych::torch_version());
  benchmark::AddCustomContext("threads", std::to_string(threads));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
