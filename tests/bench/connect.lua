-- SPDX-License-Identifier: Apache-2.0
-- sysbench script: every event is a connection, one statement, and the end of the connection.
function thread_init()
   drv = sysbench.sql.driver()
end

function event()
   local con = drv:connect()
   con:query("SELECT 1")
   con:disconnect()
end
