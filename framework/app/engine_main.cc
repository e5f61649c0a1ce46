// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/core/standard_streams.h"

int main(int argc, char** argv) {
  triptych::open_standard_streams();
  return triptych::app::run_engine({argv + 1, argv + argc});
}
