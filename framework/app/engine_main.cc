// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"

int main(int argc, char** argv) { return triptych::app::run_engine({argv + 1, argv + argc}); }
