// Empty: lets count.go declare functions of the runtime without a body. SPDX-License-Identifier: MIT
