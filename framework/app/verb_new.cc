// SPDX-License-Identifier: Apache-2.0
#include "framework/app/light_verbs.h"
namespace triptych::app {
int new_component(const CommandLine&) { return 2; }
}
