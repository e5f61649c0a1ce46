// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

namespace triptych::app {

/// One heat map a stage (mixing_<stage>.svg) of the metrics "mixing/<stage>/<task>_from_<task>":
/// rows are the tasks that receive. Other metrics are left alone.
std::map<std::string, std::string> mixing_charts(const std::map<std::string, double>& metrics);

}  // namespace triptych::app
