// SPDX-License-Identifier: Apache-2.0
#include "framework/app/composed.h"

#include "framework/config/compose.h"

namespace triptych::app {

config::Node compose_resolved(const CommandLine& command) {
  config::ComposeRequest request = compose_request(command);
  // generate has a root of its own: one data set and where it goes.
  if (command.verb == "generate" && request.config_name == "config")
    request.config_name = "generate";
  return config::resolve(config::compose(request));
}

}  // namespace triptych::app
